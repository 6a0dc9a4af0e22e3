from modelyard.exporting import publishing


def test_number_taken_at_the_last_moment_is_left_alone(tmp_path):
    partial = tmp_path / ".partial-1"
    partial.mkdir()
    (partial / "saved_model.pb").touch()
    taken = tmp_path / "1"
    listed = iter([[], [taken]])

    class Base(type(tmp_path)):
        def iterdir(self):
            # Another run publishes between the look and the rename.
            taken.mkdir(exist_ok=True)
            (taken / "theirs").touch()
            return next(listed)

    assert publishing._publish(partial, Base(tmp_path)) == tmp_path / "2"
    assert (taken / "theirs").exists()

import numpy as np

from modelyard.data.images.examples import Examples


def test_take_keeps_images_and_labels_together():
    images = np.arange(4, dtype=np.uint8).reshape(4, 1, 1, 1)
    taken = Examples(images, np.arange(4)).take(np.array([3, 1]))
    assert len(taken) == 2
    assert taken.images.ravel().tolist() == taken.labels.tolist() == [3, 1]

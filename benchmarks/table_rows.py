"""The rows of the tables that `tables.py` writes: what, from where, and beside what.

An entry is `file/figure` in `results/`, or just `file` where a file has one figure.
"""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Row:
    """A line of a table whose figures come from one result.

    Attributes:
        what: First cell.
        entry: The result.
        command: Command that measures it; empty where none does any more.
        reference: Key of `REFERENCES`, or empty.
        peer: A result to compare with; its figures fill the text of the reference.
        accuracy: Key of the accuracy in the result.
        seconds: Key of the seconds in the result.
        upper_bound: Whether other work on the machine inflated the seconds.
        cell: Key of what a table of several dimensions shows of the result.
    """

    what: str
    entry: str
    command: str = ""
    reference: str = ""
    peer: str = ""
    accuracy: str = "accuracy"
    seconds: str = "seconds"
    upper_bound: bool = False
    cell: str = ""


@dataclasses.dataclass(frozen=True)
class Table:
    """A table: its columns by the name of their function in `tables.py`."""

    columns: dict[str, str]
    rows: tuple[Row, ...]


# Published values on the same test split, and our own measurements of peers.
REFERENCES = {
    "linear": "88.0%: linear classifier, [LeCun et al., 1998]"
    "(https://doi.org/10.1109/5.726791)",
    "mlp": "98.4%: 800 hidden units, [Simard et al., 2003]"
    "(https://doi.org/10.1109/ICDAR.2003.1227801)",
    "lenet": "99.05%: LeNet-5, [LeCun et al., 1998](https://doi.org/10.1109/5.726791)",
    "keras_convnet": "{accuracy} in {seconds} s: keras.io `mnist_convnet`, run in turn",
    "from_scratch": "{from_scratch}: a small network trained from scratch",
    "linear_svc": "{linear_accuracy}: LinearSVC on TF-IDF of words and pairs",
    "airbench": "94.01% with six views: airbench94, [Jordan, 2024]"
    "(https://arxiv.org/abs/2404.00498)",
    "nbsvm": "91.2%: NBSVM, word pairs, [Wang and Manning, 2012]"
    "(https://aclanthology.org/P12-2018)",
    "keras_transformer": "87.5%: keras.io, tuned on the test split",
    "keras_conv1d": "86.4%: keras.io, Conv1D",
    "ulmfit": "94.5%: ULMFiT, also pretrained on Wikipedia, [Howard and Ruder, 2018]"
    "(https://arxiv.org/abs/1801.06146)",
}

_RUN_IMAGES = "modelyard run classify-images --dataset"
_RUN_TRANSFER = "modelyard run transfer-images --dataset"
_RUN_TEXT = "modelyard run classify-text --dataset"
_MNIST = "python benchmarks/mnist_figures.py --figures"
_CIFAR = "python benchmarks/cifar10_figures.py --torch-python PATH --figures"
_IMDB = "python benchmarks/imdb_figures.py --figures"
_FAST_CIFAR = f"{_RUN_IMAGES} cifar10 --model fast_cifar_net"

_ACCURACY = {"test accuracy": "accuracy", "seeds": "seeds"}
_VIEWS = {"test-time augmentation": "augmented"}
_TIME = {"seconds": "seconds", "time / peer's": "relative_time"}
_SOURCE = {"machine": "machine", "command": "command"}
_PUBLISHED = {"reference": "reference"}
_FULL = {**_ACCURACY, **_TIME, **_PUBLISHED, **_SOURCE}

_PICTURE_COLUMNS = {
    "pictures": "what",
    "method": "method",
    "PSNR": "method_psnr",
    "SSIM": "method_ssim",
    "number": "method_pictures",
    "seconds": "picture_seconds",
    **_SOURCE,
}
_DENOISERS = (
    "noisy input",
    "non-local means",
    "wavelets",
    "total variation",
    "BM3D",
    "this model",
)


def _picture_row(what: str, figure: str, cell: str) -> Row:
    """A row of one method on pictures."""
    command = f"python benchmarks/picture_figures.py --keep FOLDER --figures {figure}"
    return Row(
        what,
        f"pictures/{figure}",
        command,
        seconds="train_seconds",
        upper_bound=True,
        cell=cell,
    )


def _picture_rows(
    what: str, figure: str, place: str, methods: tuple[str, ...]
) -> tuple[Row, ...]:
    """Rows of several methods on the same pictures."""
    return tuple(_picture_row(what, figure, f"{place}/{name}") for name in methods)


_MNIST_ROWS = (
    Row("`perceptron`", "mnist/perceptron", f"{_MNIST} models", "linear"),
    Row("`mlp`", "mnist/mlp", f"{_MNIST} models", "mlp"),
    Row("`lenet`", "mnist/lenet", f"{_MNIST} models", "lenet"),
    Row("`convnet`, `fast`: 3 epochs", "mnist/convnet_fast", f"{_MNIST} fast"),
    Row("the same, 2 epochs", "mnist/convnet_fast_2_epochs", f"{_MNIST} fast"),
    Row("the same, 1 epoch", "mnist/convnet_fast_1_epoch", f"{_MNIST} fast"),
    Row(
        "peer: `mnist_convnet` of keras.io",
        "mnist/keras_io_mnist_convnet",
        f"{_MNIST} fast",
    ),
    Row("`convnet`, `best`", "mnist/convnet_best", f"{_MNIST} best --seeds 3"),
)
_CIFAR_ROWS = (
    Row(
        "`fast`: 11 epochs, 6 of them small",
        "cifar10/fast_cifar_net_fast",
        f"{_CIFAR} fast --peer-steps 20",
        "airbench",
    ),
    Row(
        "peer: airbench94 in PyTorch, extrapolated from 20 steps",
        "cifar10/airbench94_torch",
        f"{_CIFAR} fast --peer-steps 20",
    ),
    Row(
        "10 epochs, 7 of them small",
        "cifar10/fast_cifar_net_fast_10_epochs",
        f"{_FAST_CIFAR} --epochs 10 --small-share 0.7",
    ),
    Row(
        "peer: airbench94 in PyTorch, beside the 10 epochs",
        "cifar10/airbench94_torch_beside_10_epochs",
        f"{_CIFAR} fast",
    ),
    Row(
        "8 epochs, 3 of them small",
        "cifar10/fast_cifar_net_fast_8_epochs",
        f"{_FAST_CIFAR} --epochs 8 --small-share 0.375",
    ),
    Row(
        "peer: airbench94 in PyTorch, beside the 8 epochs",
        "cifar10/airbench94_torch_beside_8_epochs",
        f"{_CIFAR} fast",
    ),
    Row(
        "`best`: 30 epochs",
        "cifar10/fast_cifar_net_best",
        f"{_CIFAR} best --seeds 1",
    ),
)
_CIFAR_EARLIER_ROWS = (
    Row("trained whitening bias", "cifar10/fast_cifar_net_fast_trained_bias"),
    Row(
        "peer: airbench94 in PyTorch, extrapolated from 20 steps",
        "cifar10/airbench94_torch_slow_bfloat16",
    ),
    Row(
        "trained whitening bias, in float32",
        "cifar10/fast_cifar_net_fast_float32",
    ),
    Row(
        "peer: airbench94 in PyTorch, extrapolated from 20 steps",
        "cifar10/airbench94_torch_float32",
    ),
    Row(
        "half of the epochs small",
        "cifar10/fast_cifar_net_half_small",
    ),
)
_TRANSFER_ROWS = (
    Row(
        "1,000 labels, `fast`",
        "cifar10/transfer_1000_labels",
        f"{_RUN_TRANSFER} cifar10 --max-train-examples 1000",
        seconds="train_seconds",
    ),
    Row(
        "5,000 labels, `fast`",
        "cifar10/transfer_5000_labels",
        f"{_RUN_TRANSFER} cifar10 --max-train-examples 5000",
        seconds="train_seconds",
    ),
    Row(
        "all 45,833 labels, `best` at 128 pixels, 5 epochs",
        "cifar10/transfer_all_labels_128_pixels",
        f"{_RUN_TRANSFER} cifar10 --recipe best --image-size 128 --epochs 5",
        seconds="train_seconds",
        upper_bound=True,
    ),
)
_RATE_ROWS = tuple(
    Row(what, f"cifar10/{figure}", command)
    for what, figure, command in (
        ("`fast`", "fast_cifar_net_fast", f"{_CIFAR} fast"),
        ("peer", "airbench94_torch", f"{_CIFAR} fast"),
        ("10 epochs", "fast_cifar_net_fast_10_epochs", ""),
        ("peer", "airbench94_torch_beside_10_epochs", ""),
        ("8 epochs", "fast_cifar_net_fast_8_epochs", ""),
        ("peer", "airbench94_torch_beside_8_epochs", ""),
        ("`best`", "fast_cifar_net_best", f"{_CIFAR} best"),
        ("`steps`", "fast_cifar_net_steps", f"{_CIFAR} steps"),
        ("peer", "airbench94_torch_steps", f"{_CIFAR} steps"),
        ("`steps`, earlier network", "fast_cifar_net_steps_trained_bias", ""),
        ("`steps`, earlier network", "fast_cifar_net_steps_float32", ""),
        ("peer", "airbench94_torch_steps_float32", ""),
    )
)
_IMDB_ROWS = (
    Row("`ngram`", "imdb/ngram_fast", f"{_IMDB} ngram", "nbsvm"),
    Row(
        "baseline: LinearSVC on TF-IDF of words and pairs",
        "imdb/ngram_fast",
        f"{_IMDB} ngram",
        accuracy="linear_accuracy",
        seconds="linear_seconds",
    ),
    Row(
        "`ngram --recipe best`: a teacher labels 50,000 more reviews",
        "imdb/ngram_best",
        f"{_IMDB} ngram_best",
    ),
    Row(
        "`lstm --recipe best`: two teachers, and word vectors from all training texts",
        "imdb/lstm_best",
        f"{_IMDB} lstm_best",
    ),
    Row(
        "`lstm --recipe best`, one teacher in two rounds, random word vectors",
        "imdb/lstm_best_random_vectors",
        f"{_RUN_TEXT} imdb_reviews --model lstm --recipe best --word-vectors random "
        "--teachers ngram --teacher-rounds 2",
        upper_bound=True,
    ),
    Row("`lstm`", "imdb/lstm_fast", f"{_IMDB} lstm"),
    Row(
        "`transformer`",
        "imdb/transformer_fast",
        f"{_IMDB} transformer",
        "keras_transformer",
    ),
    Row("`gru`", "imdb/gru_fast", f"{_IMDB} gru", upper_bound=True),
    Row("`text_cnn`", "imdb/text_cnn_fast", f"{_IMDB} text_cnn", "keras_conv1d"),
    Row(
        "`lstm`, words alone",
        "imdb/lstm_fast_words",
        f"{_RUN_TEXT} imdb_reviews --model lstm --ngrams 1",
    ),
    Row(
        "`transformer`, words alone",
        "imdb/transformer_fast_words",
        f"{_RUN_TEXT} imdb_reviews --model transformer --ngrams 1",
        upper_bound=True,
    ),
    Row(
        "`simple_rnn`", "imdb/simple_rnn_fast", f"{_IMDB} simple_rnn", upper_bound=True
    ),
    Row("`fnet`", "imdb/fnet_fast", f"{_IMDB} fnet"),
    Row(
        "`lstm` from a language model",
        "imdb/lstm_language_model",
        f"{_IMDB} language_model",
        "ulmfit",
        seconds="train_seconds",
        upper_bound=True,
    ),
    Row(
        "`lstm`, one epoch of 200 words with AdamW",
        "imdb/lstm_quick",
        f"{_IMDB} quick --peer-runs 3",
    ),
    Row(
        "peer: `bidirectional_lstm_imdb` of keras.io, 2 epochs",
        "imdb/keras_io_bidirectional_lstm",
        f"{_IMDB} quick --peer-runs 3",
    ),
)
_IMDB_EARLIER_ROWS = (
    Row("`text_cnn` with AdamW", "imdb/text_cnn_fast_adamw"),
    Row("`lstm` with AdamW, words alone", "imdb/lstm_fast_adamw"),
    Row(
        "`lstm`, 3 epochs, slower layer",
        "imdb/lstm_3_epochs",
        seconds="train_seconds",
        upper_bound=True,
    ),
)
_HEADLINES = (
    Row(
        "MNIST, `convnet`",
        "mnist/convnet_fast",
        f"{_RUN_IMAGES} mnist",
        "keras_convnet",
        peer="mnist/keras_io_mnist_convnet",
    ),
    Row(
        "CIFAR-10, `fast_cifar_net`, six views",
        "cifar10/fast_cifar_net_fast",
        _FAST_CIFAR,
        "airbench",
        accuracy="accuracy_tta",
    ),
    Row(
        "CIFAR-10, 1,000 labels",
        "cifar10/transfer_1000_labels",
        f"{_RUN_TRANSFER} cifar10 --max-train-examples 1000",
        "from_scratch",
        peer="cifar10/transfer_1000_labels",
        seconds="train_seconds",
    ),
    Row("IMDB, `ngram`", "imdb/ngram_fast", f"{_RUN_TEXT} imdb_reviews", "nbsvm"),
    Row(
        "IMDB, `lstm`",
        "imdb/lstm_best",
        f"{_RUN_TEXT} imdb_reviews --model lstm --recipe best",
        "linear_svc",
        peer="imdb/ngram_fast",
    ),
)

_INPUT_CASES = (
    ("MNIST, no augmentation", "mnist, none"),
    ("MNIST, shift", "mnist, shift 2"),
    ("MNIST, affine", "mnist, affine"),
    ("CIFAR-10, flip, crop, cutout", "cifar10, flip + crop 4 + cutout 8"),
)
_LSTM_SIZES = (
    "32, 200, 128, 64",
    "32, 200, 128, 128",
    "128, 200, 128, 128",
    "64, 200, 256, 512",
)
_LSTM_ROWS = tuple(
    Row(size, "lstm_throughput", cell=f"{i}/{layer}")
    for i, size in enumerate(_LSTM_SIZES)
    for layer in ("fast", "keras", "torch")
)
_PORT_CASES = ("photographs, 224", *(f"noise, {n}" for n in (224, 193, 160, 97)))

TABLES = {
    "headlines": Table(
        {
            "": "what",
            **_ACCURACY,
            "seconds": "seconds",
            "reference": "reference",
            **_SOURCE,
        },
        _HEADLINES,
    ),
    "mnist": Table(
        {
            "model": "what",
            "test accuracy": "accuracy",
            **_VIEWS,
            "seeds": "seeds",
            **_TIME,
            **_PUBLISHED,
            **_SOURCE,
        },
        _MNIST_ROWS,
    ),
    "cifar10": Table(
        {
            "`fast_cifar_net`": "what",
            "test accuracy": "accuracy",
            **_VIEWS,
            "seeds": "seeds",
            **_TIME,
            **_PUBLISHED,
            "bare GFLOP/s": "bare_rate",
            **_SOURCE,
        },
        _CIFAR_ROWS,
    ),
    "cifar10-earlier": Table(
        {
            "earlier `fast_cifar_net`": "what",
            "test accuracy": "accuracy",
            **_VIEWS,
            "seeds": "seeds",
            **_TIME,
            "bare GFLOP/s": "bare_rate",
            "machine": "machine",
        },
        _CIFAR_EARLIER_ROWS,
    ),
    "cifar10-rates": Table(
        {
            "training": "what",
            "images/s at full size": "image_rate",
            "GFLOP/s": "flop_rate",
            "bare GFLOP/s": "bare_rate",
            "share": "share",
            **_SOURCE,
        },
        _RATE_ROWS,
    ),
    "transfer": Table(
        {
            "CIFAR-10": "what",
            "frozen": "frozen",
            "fine-tuned": "accuracy",
            "with mirrored views": "augmented",
            "from scratch": "from_scratch",
            "seeds": "seeds",
            "seconds": "seconds",
            **_SOURCE,
        },
        _TRANSFER_ROWS,
    ),
    "imdb": Table({"model": "what", **_FULL}, _IMDB_ROWS),
    "imdb-earlier": Table(
        {
            "earlier recipe": "what",
            **_ACCURACY,
            "seconds": "seconds",
            "machine": "machine",
        },
        _IMDB_EARLIER_ROWS,
    ),
    "language-model": Table(
        {
            "": "what",
            "perplexity": "perplexity",
            "of word frequencies": "unigram_perplexity",
            "seconds": "seconds",
            "machine": "machine",
        },
        (
            Row(
                "language model, 2 epochs",
                "imdb/language_model",
                seconds="train_seconds",
                upper_bound=True,
            ),
        ),
    ),
    "serving": Table(
        {
            "": "what",
            "texts/s": "text_rate",
            "one alone, ms": "text_latency",
            "bytes per text": "text_bytes",
            "machine": "hardware",
            "command": "command",
        },
        (
            Row(
                "`ngram`, one core, in process",
                "imdb/ngram_serving",
                f"{_IMDB} serving",
            ),
        ),
    ),
    "digits": Table(
        {
            "model": "what",
            "accuracy": "fold_accuracy",
            "folds": "fold_range",
            "seeds": "fold_seeds",
            **_SOURCE,
        },
        (Row("`convnet`, `fast`", "digits", "python benchmarks/digits_folds.py"),),
    ),
    "encode-images": Table(
        {
            "data set": "what",
            "code size": "code_size",
            "PSNR": "psnr",
            "PSNR of PCA": "pca_psnr",
            "linear probe": "probe",
            "linear probe on PCA": "pca_probe",
            "seeds": "seeds",
            "seconds": "seconds",
            **_SOURCE,
        },
        tuple(
            Row(
                what,
                f"encode_images/{key}",
                f"python benchmarks/encode_images_figures.py --datasets {key}",
                seconds="train_seconds",
                upper_bound=True,
            )
            for what, key in (("digits", "digits"), ("MNIST", "mnist"))
        ),
    ),
    "denoise-images": Table(
        _PICTURE_COLUMNS,
        (
            *_picture_rows(
                "CIFAR-10, Gaussian, 25", "denoise-cifar10", "classical", _DENOISERS
            ),
            *_picture_rows(
                "the same, all test pictures",
                "denoise-cifar10",
                "methods",
                ("noisy input", "this model"),
            ),
            *_picture_rows(
                "MNIST, Gaussian, 102, clipped",
                "denoise-mnist",
                "methods",
                ("noisy input", "this model"),
            ),
            _picture_row("MNIST, Gaussian, 102, clipped", "denoise-mnist", "peer"),
            *_picture_rows(
                "BSD68 grey, Gaussian, 25",
                "denoise-bsd68",
                "evaluated_on/bsd68",
                _DENOISERS,
            ),
        ),
    ),
    "enhance-images": Table(
        _PICTURE_COLUMNS,
        tuple(
            row
            for what in ("Set5", "Set14")
            for row in _picture_rows(
                f"{what}, scale 2, trained on T91",
                "enhance-set5",
                f"evaluated_on/{what.lower()}",
                ("bicubic", "Lanczos", "this model"),
            )
        ),
    ),
    "colorize-images": Table(
        {
            "model": "what",
            "pictures": "method",
            "CIEDE2000": "ciede2000",
            "colourfulness": "colorfulness",
            "PSNR": "method_psnr",
            "mean absolute error": "absolute_error",
            "pixels within 2%": "near_pixels",
            "accuracy of a classifier": "judged",
            "seconds": "picture_seconds",
            **_SOURCE,
        },
        tuple(
            row
            for what, figure, methods in (
                (
                    "`colorizer`",
                    "colorize-cifar10",
                    ("grey copy", "mean chroma", "this model"),
                ),
                (
                    "`distribution_colorizer`",
                    "colorize-cifar10-distribution",
                    ("this model",),
                ),
            )
            for row in _picture_rows(what, figure, "methods", methods)
        ),
    ),
    "picture-serving": Table(
        {
            "size": "what",
            "milliseconds": "served_milliseconds",
            "peak memory, MB": "served_megabytes",
            "machine": "hardware",
            "command": "command",
        },
        tuple(
            Row(
                f"{size}x{size}",
                "picture_serving/denoise-bsd68",
                "python benchmarks/picture_serving.py --name denoise-bsd68 EXPORT",
                cell=size,
            )
            for size in ("512", "2048")
        ),
    ),
    "input-pipeline": Table(
        {
            "": "what",
            "images/s": "input_rate",
            "range": "input_range",
            "machine": "hardware",
            "command": "command",
        },
        tuple(
            Row(what, "input_pipeline", "python benchmarks/input_pipeline.py", cell=key)
            for what, key in _INPUT_CASES
        ),
    ),
    "fit-overhead": Table(
        {
            "": "what",
            "median of pairs": "overhead_of_pairs",
            "range of pairs": "overhead_range",
            "of the medians": "overhead_of_medians",
            "pairs": "num_pairs",
            **_SOURCE,
        },
        (
            Row(
                "`fit_resumably` compared with `fit`",
                "fit_overhead",
                "python benchmarks/fit_overhead.py",
            ),
        ),
    ),
    "lstm": Table(
        {
            "texts, words, vector, units": "what",
            "layer": "layer",
            "words/s": "word_rate",
            "share of bare rate": "layer_share",
            "`FastLSTM` is faster by": "fast_ratio",
            "machine": "machine",
        },
        _LSTM_ROWS,
    ),
    "conv-rate": Table(
        {
            "": "what",
            "float32 GFLOP/s": "float32_rate",
            "bfloat16 GFLOP/s": "bfloat16_rate",
            "machine": "hardware",
        },
        (
            Row("3x3 convolutions, forward", "conv_rate"),
            Row("3x3 convolutions, forward", "conv_rate_float32"),
        ),
    ),
    "efficientnet-lite": Table(
        {
            "pictures, side": "what",
            "largest difference / largest logit": "port_difference",
            "same labels": "port_labels",
            "machine": "hardware",
        },
        tuple(Row(case, "efficientnet_lite_port", cell=case) for case in _PORT_CASES),
    ),
}

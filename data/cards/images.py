"""Cards of the image classification data sets."""

import string
from typing import Any

from modelyard.data.cards.card import DatasetCard

_CIFAR_TERMS: dict[str, Any] = {
    "licence": "No licence stated; the authors ask for the citation",
    "permitted_use": "Common in research; not licensed, so ask before commercial use",
    "url": "https://www.cs.toronto.edu/~kriz/cifar.html",
    "citation": (
        "A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, "
        "technical report, University of Toronto, 2009"
    ),
}

_CIFAR100_NAMES = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge
bus butterfly camel can castle caterpillar cattle chair chimpanzee clock cloud
cockroach couch crab crocodile cup dinosaur dolphin elephant flatfish forest fox
girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster man
maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree
pear pickup_truck pine_tree plain plate poppy porcupine possum rabbit raccoon ray
road rocket rose sea seal shark shrew skunk skyscraper snail snake spider squirrel
streetcar sunflower sweet_pepper table tank telephone television tiger tractor train
trout tulip turtle wardrobe whale willow_tree wolf woman worm
"""

IMAGE_CARDS = (
    DatasetCard(
        name="mnist",
        title="Handwritten digits, 28x28 grey",
        source="tfds",
        example_shape=(28, 28, 1),
        class_names=tuple(string.digits),
        splits={"train": 60_000, "test": 10_000},
        licence="CC BY-SA 3.0, copyright Yann LeCun and Corinna Cortes",
        permitted_use="Any, with attribution and the same licence for adaptations",
        url="http://yann.lecun.com/exdb/mnist/",
        citation=(
            "Y. LeCun, C. Cortes, C. Burges, MNIST handwritten digit database, "
            "ATT Labs, 2010"
        ),
        tfds_name="mnist",
        download_url=(
            "https://storage.googleapis.com/cvdf-datasets/mnist/"
            "train-images-idx3-ubyte.gz"
        ),
    ),
    DatasetCard(
        name="fashion_mnist",
        title="Photographs of clothing, 28x28 grey",
        source="tfds",
        example_shape=(28, 28, 1),
        class_names=(
            "T-shirt/top",
            "Trouser",
            "Pullover",
            "Dress",
            "Coat",
            "Sandal",
            "Shirt",
            "Sneaker",
            "Bag",
            "Ankle boot",
        ),
        splits={"train": 60_000, "test": 10_000},
        licence="MIT, copyright Zalando SE",
        permitted_use="Any; keep the copyright notice",
        url="https://github.com/zalandoresearch/fashion-mnist",
        citation=(
            "H. Xiao, K. Rasul, R. Vollgraf, Fashion-MNIST: a Novel Image Dataset for "
            "Benchmarking Machine Learning Algorithms, arXiv:1708.07747, 2017"
        ),
        tfds_name="fashion_mnist",
        download_url=(
            "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
            "train-images-idx3-ubyte.gz"
        ),
    ),
    DatasetCard(
        name="kmnist",
        title="Cursive Japanese characters, 28x28 grey",
        source="tfds",
        example_shape=(28, 28, 1),
        class_names=("o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"),
        splits={"train": 60_000, "test": 10_000},
        licence="CC BY-SA 4.0",
        permitted_use="Any, with attribution and the same licence for adaptations",
        url="http://codh.rois.ac.jp/kmnist/index.html.en",
        citation=(
            "T. Clanuwat et al., Deep Learning for Classical Japanese Literature, "
            "arXiv:1812.01718, 2018"
        ),
        tfds_name="kmnist",
        download_url=(
            "http://codh.rois.ac.jp/kmnist/dataset/kmnist/train-images-idx3-ubyte.gz"
        ),
    ),
    DatasetCard(
        name="emnist/letters",
        title="Handwritten letters, upper and lower case merged, 28x28 grey",
        source="tfds",
        example_shape=(28, 28, 1),
        class_names=tuple(string.ascii_lowercase),
        splits={"train": 88_800, "test": 14_800},
        licence="No licence stated; made from NIST Special Database 19",
        permitted_use="Common in research; not licensed, so ask before commercial use",
        url="https://www.nist.gov/itl/products-and-services/emnist-dataset",
        citation=(
            "G. Cohen, S. Afshar, J. Tapson, A. van Schaik, EMNIST: an extension of "
            "MNIST to handwritten letters, arXiv:1702.05373, 2017"
        ),
        tfds_name="emnist/letters",
        download_url="https://biometrics.nist.gov/cs_links/EMNIST/gzip.zip",
        label_offset=1,  # The files number letters from 1.
        transpose=True,
    ),
    DatasetCard(
        name="cifar10",
        title="Photographs of animals and vehicles, 32x32 colour",
        source="tfds",
        example_shape=(32, 32, 3),
        class_names=(
            "airplane",
            "automobile",
            "bird",
            "cat",
            "deer",
            "dog",
            "frog",
            "horse",
            "ship",
            "truck",
        ),
        splits={"train": 50_000, "test": 10_000},
        tfds_name="cifar10",
        download_url="https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
        **_CIFAR_TERMS,
    ),
    DatasetCard(
        name="cifar100",
        title="Photographs of 100 kinds of objects, 32x32 colour",
        source="tfds",
        example_shape=(32, 32, 3),
        class_names=tuple(_CIFAR100_NAMES.split()),
        splits={"train": 50_000, "test": 10_000},
        tfds_name="cifar100",
        download_url="https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
        **_CIFAR_TERMS,
    ),
    DatasetCard(
        name="digits",
        title="Handwritten digits, 8x8 grey, included in scikit-learn",
        source="embedded",
        example_shape=(8, 8, 1),
        class_names=tuple(string.digits),
        splits={"all": 1_797},
        licence="CC BY 4.0",
        permitted_use="Any, with attribution",
        url="https://archive.ics.uci.edu/dataset/80",
        citation=(
            "E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, "
            "UCI Machine Learning Repository, 1998"
        ),
    ),
    DatasetCard(
        name="photos",
        title=(
            "32x32 colour patches, labelled with the photograph they come from; "
            "included in scikit-learn and scikit-image"
        ),
        source="embedded",
        example_shape=(32, 32, 3),
        class_names=(
            "temple",
            "flower",
            "astronaut",
            "cat",
            "coffee",
            "galaxies",
            "retina",
            "rocket",
            "tissue",
        ),
        splits={"all": 2_421},
        licence=(
            "temple (danielbuechele) and flower (vultilion) CC BY 2.0; the others CC0 "
            "or public domain, see the documentation of skimage.data"
        ),
        permitted_use="Any, with attribution; a smoke test, not a benchmark",
        url="https://scikit-image.org/docs/stable/api/skimage.data.html",
        citation=(
            "F. Pedregosa et al., Scikit-learn, JMLR 12, 2011; S. van der Walt et "
            "al., scikit-image, PeerJ 2:e453, 2014"
        ),
    ),
)

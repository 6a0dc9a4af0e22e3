"""Cards of the pictures without classes, for denoising, colouring and enlarging."""

from typing import Any

from modelyard.data.cards.card import DatasetCard

_UNKNOWN_OWNERS: dict[str, Any] = {
    "licence": "No licence stated; photographs of unknown owners",
    "permitted_use": "Common in research; not licensed, so do not redistribute",
}
_BERKELEY: dict[str, Any] = {
    "licence": "Terms of the Berkeley Segmentation Dataset; photographs by Corel",
    "permitted_use": "Non-commercial research and education",
}
_BERKELEY_CITATION = (
    "D. Martin et al., A Database of Human Segmented Natural Images, ICCV 2001; "
    "S. Roth, M. Black, Fields of Experts, IJCV 82, 2009"
)

PICTURE_CARDS = (
    DatasetCard(
        name="set5",
        title="Five colour photographs, a standard test set of super-resolution",
        source="pictures",
        example_shape=(None, None, 3),
        class_names=(),
        splits={"all": 5},
        url="https://github.com/tegg89/SRCNN-Tensorflow",
        citation=(
            "M. Bevilacqua et al., Low-Complexity Single-Image Super-Resolution Based "
            "on Nonnegative Neighbor Embedding, BMVC 2012"
        ),
        files="super_resolution/Set5",
        **_UNKNOWN_OWNERS,
    ),
    DatasetCard(
        name="set14",
        title="Fourteen pictures, a standard test set of super-resolution",
        source="pictures",
        example_shape=(None, None, 3),
        class_names=(),
        splits={"all": 14},
        url="https://github.com/tegg89/SRCNN-Tensorflow",
        citation=(
            "R. Zeyde, M. Elad, M. Protter, On Single Image Scale-Up Using "
            "Sparse-Representations, 2010"
        ),
        files="super_resolution/Set14",
        **_UNKNOWN_OWNERS,
    ),
    DatasetCard(
        name="t91",
        title="91 small colour photographs, a training set of super-resolution",
        source="pictures",
        example_shape=(None, None, 3),
        class_names=(),
        splits={"all": 91},
        url="https://github.com/tegg89/SRCNN-Tensorflow",
        citation=(
            "J. Yang et al., Image Super-Resolution via Sparse Representation, IEEE "
            "TIP 19, 2010"
        ),
        files="super_resolution/T91",
        **_UNKNOWN_OWNERS,
    ),
    DatasetCard(
        name="bsd68",
        title="68 grey photographs, a standard test set of denoising",
        source="pictures",
        example_shape=(None, None, 1),
        class_names=(),
        splits={"all": 68},
        url="https://github.com/cszn/DnCNN",
        citation=_BERKELEY_CITATION,
        files="super_resolution/BSD68",
        **_BERKELEY,
    ),
    DatasetCard(
        name="cbsd68",
        title="The photographs of bsd68 in colour",
        source="pictures",
        example_shape=(None, None, 3),
        class_names=(),
        splits={"all": 68},
        url="https://github.com/cszn/FFDNet",
        citation=_BERKELEY_CITATION,
        files="super_resolution/CBSD68",
        **_BERKELEY,
    ),
    DatasetCard(
        name="train400",
        title="400 grey photographs, 180x180, a training set of denoising",
        source="pictures",
        example_shape=(180, 180, 1),
        class_names=(),
        splits={"all": 400},
        url="https://github.com/cszn/DnCNN",
        citation=(
            "K. Zhang et al., Beyond a Gaussian Denoiser, IEEE TIP 26, 2017; "
            "P. Arbelaez et al., Contour Detection and Hierarchical Image "
            "Segmentation, IEEE TPAMI 33, 2011"
        ),
        files="train400",
        **_BERKELEY,
    ),
    DatasetCard(
        name="pixel_tiles",
        title="Tiles of the game Dungeon Crawl Stone Soup, 32x32 colour on black",
        source="pictures",
        example_shape=(32, 32, 3),
        class_names=(),
        splits={"all": 4_192},
        licence="CC0 1.0",
        permitted_use="Any",
        url="https://github.com/crawl/tiles",
        citation="Dungeon Crawl Stone Soup tiles, release Nov-2015, from RLTiles",
        files="pixel_tiles/pixel_tiles.npz",
    ),
)

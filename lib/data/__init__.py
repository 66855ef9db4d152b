"""Real data and pretrained models, each inside an installed package: nothing is downloaded at run time."""

from .documentation_text import DocumentationText, load_documentation_text
from .gguf import GgufHeader, read_gguf_header
from .gguf_tensors import GgufFile, StoredBlocks, StoredTensor
from .mnist import Mnist, load_mnist
from .names import Surnames, load_surnames
from .photographs import photograph, photograph_names
from .pretrained import EfficientNetLite0, efficientnet_lite0, imagenet_labels, smollm2_file
from .pronunciation import Pronunciations, SpokenWords, load_pronunciations
from .speech import JapaneseVowels, load_japanese_vowels
from .sunspots import Sunspots, load_sunspots
from .tabular import BreastCancer, Diabetes, Titanic, load_breast_cancer, load_diabetes, load_titanic
from .time_series import MaunaLoa, load_mauna_loa

__all__ = [
    "BreastCancer",
    "Diabetes",
    "DocumentationText",
    "EfficientNetLite0",
    "GgufFile",
    "GgufHeader",
    "JapaneseVowels",
    "MaunaLoa",
    "Mnist",
    "Pronunciations",
    "SpokenWords",
    "StoredBlocks",
    "StoredTensor",
    "Sunspots",
    "Surnames",
    "Titanic",
    "efficientnet_lite0",
    "imagenet_labels",
    "load_breast_cancer",
    "load_diabetes",
    "load_documentation_text",
    "load_japanese_vowels",
    "load_mauna_loa",
    "load_mnist",
    "load_pronunciations",
    "load_sunspots",
    "load_surnames",
    "load_titanic",
    "photograph",
    "photograph_names",
    "read_gguf_header",
    "smollm2_file",
]

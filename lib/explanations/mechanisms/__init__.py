"""What happens inside the network? Its states read, and pieces of its run exchanged or taken away."""

from .activation_patching import activation_patching, restored_share
from .attention_patterns import attention_patterns, induction_scores
from .concept_vectors import (
    ConceptVector,
    concept_sensitivities,
    concept_vector,
    random_concept_test,
    tcav_scores,
)
from .dataset_examples import DatasetExamples, dataset_examples
from .direct_logit_attribution import DirectLogitAttribution, direct_logit_attribution
from .feature_visualization import FeatureVisualization, feature_visualization
from .head_ablation import without_heads
from .logit_lens import logit_lens
from .probing import LinearProbe, control_labels, linear_probe, lookup_labels
from .sparse_autoencoder import SparseAutoencoder, explained_variance, train_sparse_autoencoder
from .unit_activations import unit_activations

__all__ = [
    "ConceptVector",
    "DatasetExamples",
    "DirectLogitAttribution",
    "FeatureVisualization",
    "LinearProbe",
    "SparseAutoencoder",
    "activation_patching",
    "attention_patterns",
    "concept_sensitivities",
    "concept_vector",
    "control_labels",
    "dataset_examples",
    "direct_logit_attribution",
    "explained_variance",
    "feature_visualization",
    "induction_scores",
    "linear_probe",
    "logit_lens",
    "lookup_labels",
    "random_concept_test",
    "restored_share",
    "tcav_scores",
    "train_sparse_autoencoder",
    "unit_activations",
    "without_heads",
]

"""What happens inside the network? Its states read, and pieces of its run exchanged or taken away."""

from .activation_patching import activation_patching, restored_share
from .attention_patterns import attention_patterns, induction_scores
from .direct_logit_attribution import DirectLogitAttribution, direct_logit_attribution
from .head_ablation import without_heads
from .logit_lens import logit_lens
from .probing import LinearProbe, control_labels, linear_probe, lookup_labels
from .sparse_autoencoder import SparseAutoencoder, explained_variance, train_sparse_autoencoder

__all__ = [
    "DirectLogitAttribution",
    "LinearProbe",
    "SparseAutoencoder",
    "activation_patching",
    "attention_patterns",
    "control_labels",
    "direct_logit_attribution",
    "explained_variance",
    "induction_scores",
    "linear_probe",
    "logit_lens",
    "lookup_labels",
    "restored_share",
    "train_sparse_autoencoder",
    "without_heads",
]

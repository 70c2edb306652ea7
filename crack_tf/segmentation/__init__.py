"""Masks of cracks: pairs of photographs and masks, patches, the training pipeline, metrics, whole photographs."""

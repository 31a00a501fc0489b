"""Wiring of `segmentation`."""

from kedro.pipeline import Pipeline, node

from satsynth.pipelines.segmentation import nodes


def create_pipeline() -> Pipeline:
    """Real and synthetic pairs to mIoU by ratio."""
    inputs = ["tiles", "synthetic_pairs", "params:segmentation", "params:compute", "params:workspace"]
    return Pipeline(
        [
            node(
                nodes.train_networks,
                inputs,
                ["segmentation_runs", "scene_confusion", "untrusted_pixels"],
                name="train_networks",
                tags=["segmentation", "gpu"],
            ),
            node(
                nodes.summarise_trainings,
                ["segmentation_runs", "scene_confusion"],
                "segmentation_summary",
                name="summarise_trainings",
                tags=["segmentation", "cpu"],
            ),
            node(
                nodes.compare_class_gains,
                ["segmentation_runs", "scene_confusion", "tiles"],
                "class_gains",
                name="compare_class_gains",
                tags=["segmentation", "cpu"],
            ),
            node(
                nodes.compare_networks,
                ["segmentation_summary", "tiles", "params:description", "params:segmentation"],
                "network_comparison",
                name="compare_networks",
                tags=["segmentation", "cpu"],
            ),
            node(
                nodes.compare_augmentations,
                ["segmentation_runs", "scene_confusion"],
                "augmentation_comparison",
                name="compare_augmentations",
                tags=["segmentation", "cpu"],
            ),
            node(
                nodes.plot_ratios,
                "segmentation_summary",
                "ratio_curve",
                name="plot_ratios",
                tags=["segmentation", "cpu"],
            ),
            node(
                nodes.plot_class_gains,
                "class_gains",
                "class_gain_plot",
                name="plot_class_gains",
                tags=["segmentation", "cpu"],
            ),
        ],
        namespace="segmentation",
        prefix_datasets_with_namespace=False,
    )

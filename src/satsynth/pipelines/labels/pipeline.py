"""Wiring of `labels`."""

from kedro.pipeline import Pipeline, node

from satsynth.pipelines.families import family_inputs
from satsynth.pipelines.graph import data, given
from satsynth.pipelines.labels import nodes


def create_pipeline() -> Pipeline:
    """Scenes to budgets of labels side by side."""
    work = given("compute", "workspace")
    return Pipeline(
        [
            node(
                nodes.cut_by_labels,
                data("scenes") | given("description", "tiling", "labels") | work,
                "label_tiles",
                name="cut_by_labels",
                tags=["labels", "cpu"],
            ),
            node(
                nodes.train_by_labels,
                data("label_tiles") | given("generation") | work | family_inputs(),
                "label_generators",
                name="train_by_labels",
                tags=["labels", "gpu"],
            ),
            node(
                nodes.draw_by_labels,
                data("label_generators", "label_tiles", "scenes")
                | given("description", "generation", "sampling", "segmentation")
                | work
                | family_inputs(),
                "label_pairs",
                name="draw_by_labels",
                tags=["labels", "gpu"],
            ),
            node(
                nodes.put_labels_to_work,
                data("label_tiles", "label_pairs", "scenes") | given("labels", "segmentation") | work,
                "label_worth",
                name="put_labels_to_work",
                tags=["labels", "gpu"],
            ),
            node(
                nodes.plot_labels,
                data("label_worth"),
                "label_curve",
                name="plot_labels",
                tags=["labels", "cpu"],
            ),
            node(
                nodes.sum_up_labels,
                data("label_tiles", "label_generators", "label_worth", "label_curve"),
                "label_findings",
                name="sum_up_labels",
                tags=["labels", "cpu"],
            ),
        ],
        namespace="labels",
        prefix_datasets_with_namespace=False,
    )

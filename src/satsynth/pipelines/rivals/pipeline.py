"""Wiring of `rivals`."""

from kedro.pipeline import Pipeline, node

from satsynth.pipelines.families import family_inputs
from satsynth.pipelines.graph import data, given
from satsynth.pipelines.rivals import nodes


def create_pipeline() -> Pipeline:
    """Real pairs and the judge to families of generators side by side."""
    work = given("compute", "workspace")
    return Pipeline(
        [
            node(
                nodes.train_rivals,
                data("tiles") | given("rivals") | work | family_inputs(),
                "rival_generators",
                name="train_rivals",
                tags=["rivals", "gpu"],
            ),
            node(
                nodes.draw_from_rivals,
                data("rival_generators", "tiles", "scenes")
                | given("description", "rivals", "sampling", "segmentation")
                | work
                | family_inputs(),
                "rival_pairs",
                name="draw_from_rivals",
                tags=["rivals", "gpu"],
            ),
            node(
                nodes.compare_rivals,
                data("tiles", "rival_generators", "rival_pairs", "judge") | given("description", "comparison") | work,
                "generator_comparison",
                name="compare_rivals",
                tags=["rivals", "gpu"],
            ),
            node(
                nodes.put_rivals_to_work,
                data("tiles", "rival_pairs") | given("description", "rivals", "segmentation") | work,
                "generator_worth",
                name="put_rivals_to_work",
                tags=["rivals", "gpu"],
            ),
            node(
                nodes.draw_rivals_gallery,
                data("tiles", "rival_pairs") | given("rivals", "workspace"),
                "generator_gallery",
                name="draw_rivals_gallery",
                tags=["rivals", "cpu"],
            ),
            node(
                nodes.sum_up_rivals,
                data("tiles", "judge", "generator_comparison", "generator_worth", "generator_gallery"),
                "generator_findings",
                name="sum_up_rivals",
                tags=["rivals", "cpu"],
            ),
        ],
        namespace="rivals",
        prefix_datasets_with_namespace=False,
    )

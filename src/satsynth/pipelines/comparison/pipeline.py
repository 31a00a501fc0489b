"""Wiring of `comparison`."""

from kedro.pipeline import Pipeline, node

from satsynth.pipelines.comparison import nodes, pictures


def create_pipeline() -> Pipeline:
    """Real and synthetic pairs to distributions, fidelity, copies and gallery."""
    stores = ["tiles", "synthetic_pairs"]
    return Pipeline(
        [
            node(
                nodes.compare_classes,
                [*stores, "params:workspace"],
                ["class_distribution", "class_adjacency"],
                name="compare_classes",
                tags=["comparison", "cpu"],
            ),
            node(
                nodes.plot_classes,
                ["class_distribution", "fidelity"],
                "class_distribution_plot",
                name="plot_classes",
                tags=["comparison", "cpu"],
            ),
            node(
                nodes.measure_fidelity,
                [
                    *stores,
                    "judge",
                    "params:comparison",
                    "params:compute",
                    "params:workspace",
                ],
                "fidelity",
                name="measure_fidelity",
                tags=["comparison", "gpu"],
            ),
            node(
                nodes.measure_curves,
                [*stores, "params:workspace"],
                "image_curves",
                name="measure_curves",
                tags=["comparison", "cpu"],
            ),
            node(
                nodes.plot_curves,
                ["image_curves"],
                ["spectrum_plot", "color_plot"],
                name="plot_curves",
                tags=["comparison", "cpu"],
            ),
            node(
                nodes.measure_alignment,
                [*stores, "judge", "params:compute", "params:workspace"],
                "alignment",
                name="measure_alignment",
                tags=["comparison", "gpu"],
            ),
            node(
                nodes.find_copies,
                [*stores, "judge", "params:compute", "params:workspace"],
                ["nearest_neighbours", "memorisation"],
                name="find_copies",
                tags=["comparison", "gpu"],
            ),
            node(
                pictures.draw_closest,
                [*stores, "nearest_neighbours", "params:comparison", "params:workspace"],
                "closest_pairs",
                name="draw_closest",
                tags=["comparison", "cpu"],
            ),
            node(
                pictures.draw_gallery,
                [*stores, "params:comparison", "params:workspace"],
                "pair_gallery",
                name="draw_gallery",
                tags=["comparison", "cpu"],
            ),
        ],
        namespace="comparison",
        prefix_datasets_with_namespace=False,
    )

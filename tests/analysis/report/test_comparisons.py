import pandas as pd
import pytest

from satsynth.analysis.report.comparisons import augmentation_rows, network_rows
from satsynth.analysis.report.paper import gain_note, paper_score, paper_table
from satsynth.analysis.statistics.summary import summarise
from trainings_made import HELPED, iou, tables_of

NETWORKS = {"fpn": ("fpn", "resnet50"), "psp": ("pspnet", "resnet18")}


def joined(*tables):
    return [pd.concat(part, ignore_index=True) for part in zip(*tables, strict=True)]


def shifted(scores, change, ratios=(0, 1)):
    return {key: score + change for key, score in scores.items() if key[0] in ratios}


def test_networks_without_and_with_synthetic_pairs():
    both = joined(
        tables_of(HELPED),
        tables_of(shifted(HELPED, 0.1), "psp"),
        tables_of(shifted(HELPED, 0.2), augmentation="cutmix"),
        tables_of(shifted(HELPED, 0.3, (1,)), protocol="epoch_matched"),
    )
    table = network_rows(summarise(*both, iou), "isaid", NETWORKS, 128)
    assert table[["network", "protocol", "ratio"]].to_numpy().tolist() == [
        ["fpn", "epoch_matched", 1],
        ["fpn", "step_matched", 1],
        ["psp", "step_matched", 1],
    ]
    assert table["miou_real"].tolist() == pytest.approx([0.42, 0.42, 0.52])
    assert table["miou"].tolist() == pytest.approx([0.82, 0.52, 0.62])
    assert (table["miou"] - table["miou_real"]).tolist() == pytest.approx(table["difference"].tolist())
    assert table["paper_miou"].tolist()[:2] == [0.5213, 0.5213]
    assert table["paper_mf1"].tolist()[:2] == [0.6613, 0.6613]
    assert pd.isna(table["paper_miou"].iloc[2])
    assert table["note"].tolist()[2] == "Table 2 uses tiles of 256, not 128 pixels"
    assert "step_matched here" in table["note"].iloc[1]
    assert "step_matched" not in table["note"].iloc[0]


def test_without_synthetic_pairs_the_table_of_networks_has_its_columns_alone():
    summary = summarise(*tables_of(shifted(HELPED, 0, (0,))), iou)
    table = network_rows(summary, "mine", NETWORKS, 128)
    assert len(table) == 0
    assert {"miou_real", "miou", "difference_low", "paper_miou", "note"} <= set(table.columns)


@pytest.mark.parametrize(
    ("dataset", "architecture", "encoder", "side", "wanted"),
    [
        ("isaid", "fpn", "resnet50", 128, (None, 0.5213)),
        ("openearthmap", "fpn", "resnet50", 128, (None, 0.6224)),
        ("isaid", "pspnet", "resnet101", 256, (0.4895, 0.5654)),
        ("isaid", "segdiff", "rrdb", 128, (0.4125, None)),
        ("openearthmap", "segdiff", "rrdb", 128, (0.5123, None)),
        ("isaid", "pfsegnet", "tu-resnet50c", 256, (0.6093, 0.6371)),
        ("isaid", "fpn", "resnet18", 128, (None, None)),
        ("isaid", "fpn", "resnet50", 64, (None, None)),
        ("loveda", "fpn", "resnet50", 128, (None, None)),
    ],
)
def test_the_papers_figures_stand_only_beside_what_is_like_them(dataset, architecture, encoder, side, wanted):
    found = paper_score(dataset, architecture, encoder, side, "epoch_matched")
    assert (found["paper_miou_real"], found["paper_miou"]) == wanted
    assert found["note"]


def test_the_papers_overview_is_in_percent():
    table = paper_table("isaid")
    assert table["mIoU % on real + synthetic"].dropna().tolist() == pytest.approx([52.13, 56.54, 63.71])
    assert table["mIoU % on real"].dropna().tolist() == pytest.approx([41.25, 48.95, 60.93])
    assert paper_table("dubai") is None
    # The figures at 256 pixels rest on pairs that a second model has enlarged.
    assert ["enlarged to 256" in note for note in table["note"]] == [False, False, True, True]
    assert "enlarged to 256" in paper_score("isaid", "pspnet", "resnet101", 256, "epoch_matched")["note"]


def test_the_papers_correlation_stands_beside_the_gains_of_each_class():
    assert gain_note("isaid").startswith("The paper: r = -0.47") and "Table 6" in gain_note("isaid")
    assert "r = -0.47" in gain_note("dubai") and "not comparable" in gain_note("dubai")
    assert all("logarithm" in gain_note(dataset) for dataset in ("isaid", "dubai"))


def test_augmentations_are_all_compared_with_flips_on_real_pairs():
    both = joined(
        tables_of(HELPED),
        tables_of(shifted(HELPED, 0.05), augmentation="cutmix"),
        tables_of(shifted(HELPED, -0.1, (0,)), augmentation="none"),
        tables_of(shifted(HELPED, 0.3, (1,)), protocol="epoch_matched"),
        tables_of(shifted(HELPED, 0.3, (1,)), real_share=0.5),
    )
    table = augmentation_rows(*both, iou)
    changes = {(row["augmentation"], row["ratio"]): row["difference"] for row in table.to_dict("records")}
    assert pd.isna(changes.pop(("flips", 0)))
    assert changes == pytest.approx({("flips", 1): 0.1, ("cutmix", 0): 0.05, ("cutmix", 1): 0.15, ("none", 0): -0.1})
    assert len(table) == 5
    assert all("Table 5" in note and "not available" in note for note in table["note"])
    assert (table["difference_low"] < table["difference_high"]).sum() == 4

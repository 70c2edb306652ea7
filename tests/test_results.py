"""README, docs/results.md and docs/results-metu.md quote results/ to the last digit: these tests rebuild each quoted line from the files.

The README's figures all stand in one table, which `studies/readme_table.py` makes.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from studies import adapt_cells, aims, ingredients, readme_table
from studies.adapt_bridge import table as bridge_table
from studies.adapt_features import SHOWN as SHOWN_FEATURES
from studies.adapt_features import table as features_table
from studies.adapt_tables import blocks_table, gains_table, guard_table, labels_table, left_out_table
from studies.adapt_tables import tables as adaptation_tables
from studies.domain_tune import table as front_table
from studies.readme_table import rows
from studies.real_scenes import DEVICE_MODELS, sets_table

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
QUOTED = "".join((ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8") for page in ("results", "results-metu"))
RESULTS = ROOT / "results"


def rate(row: dict[str, str], name: str, hits: str, misses: str) -> str:
    total = int(row[hits]) + int(row[misses])
    low, high = float(row[f"{name}_low"]), float(row[f"{name}_high"])
    return f"{float(row[name]):.4f} ({row[hits]}/{total}) [{low:.4f}, {high:.4f}]"


def counts(row: dict[str, str]) -> str:
    return f"{row['tp']}/{int(row['tp']) + int(row['fn'])}, {row['tn']}/{int(row['tn']) + int(row['fp'])}"


def ranking(row: dict[str, str]) -> str:
    return f"{float(row['auc']):.3f} [{float(row['auc_low']):.3f}, {float(row['auc_high']):.3f}]"


def paired_ratios(folder: Path) -> dict[str, float]:
    (path,) = folder.glob("benchmark-*.json")
    return {row["model"]: row["paired_ratio"] for row in json.loads(path.read_text())["compare"]}


def test_every_aim_is_told_met_or_missed() -> None:
    assert aims.table() in QUOTED


def test_an_aim_is_missed_once_its_figure_falls(tmp_path: Path) -> None:
    shutil.copytree(RESULTS / "real-scenes", tmp_path / "real-scenes")
    shutil.copytree(RESULTS / "suite", tmp_path / "suite")
    shutil.copytree(RESULTS / "survey", tmp_path / "survey")
    scenes = tmp_path / "real-scenes" / "scenes.csv"
    scenes.write_text(
        scenes.read_text().replace(
            "scenes_whole,all,50,0,0,0,6,4,,,,,0.12,", "scenes_whole,all,50,0,0,0,16,4,,,,,0.32,"
        )
    )
    before, after = ({aim: (measured, met) for aim, measured, met in aims.aims(where)} for where in (RESULTS, tmp_path))
    changed = {aim: told for aim, told in after.items() if told != before[aim]}
    assert changed == {"survey: at most 0.3 confirmed findings on a photograph without cracks": ("16 on 50", False)}


@pytest.mark.parametrize("split", ["plain", "grouped"])
def test_the_documents_quote_every_model_of_the_evaluation(split: str) -> None:
    for row in rows(RESULTS / f"metu-{split}" / "metrics.csv"):
        recall, specificity = rate(row, "recall", "tp", "fn"), rate(row, "specificity", "tn", "fp")
        assert f"| {row['name']} | {split} | {recall} | {specificity} | {float(row['auc']):.5f} |" in QUOTED


@pytest.mark.parametrize("split", ["plain", "grouped"])
def test_the_documents_name_the_hash_of_each_test_split(split: str) -> None:
    (digest,) = {row["manifest_sha256"] for row in rows(RESULTS / f"metu-{split}" / "metrics.csv")}
    assert digest[:12] in QUOTED


def test_the_documents_quote_every_row_of_the_benchmark() -> None:
    (path,) = (RESULTS / "benchmark").glob("benchmark-*.csv")
    for row in rows(path):
        times = " | ".join(f"{float(row[f'{share}_ms']):.1f}" for share in ("p50", "p90", "p99"))
        whole = f"{float(row['total_p50_ms']):.1f}"
        nodes = f"{row['delegate_nodes']} + {row['nodes_remaining']}"
        size = f"{int(row['file_bytes']) / 1000:,.0f}"
        assert f"| {row['model']} | {row['threads']} | {times} | {whole} | {nodes} | {size} |" in QUOTED


def interval(row: dict[str, str], name: str) -> str:
    return f"{float(row[name]):.4f} [{float(row[f'{name}_low']):.3f}, {float(row[f'{name}_high']):.3f}]"


@pytest.mark.parametrize("data", ["crack500", "deepcrack", "conglomerate", "mix"])
def test_the_documents_quote_the_masks(data: str) -> None:
    for row in rows(RESULTS / "segmentation" / data / "metrics.csv"):
        start = f"`{row['manifest_sha256'][:12]}` | {row['photographs']} | "
        names = ("f1", "iou", "recall", "precision")
        rates = " | ".join(interval(row, name) for name in (*names, "miou", "mean_f1", "tolerant_f1"))
        assert f"{start}{rates} |" in QUOTED


def test_the_documents_quote_the_surveys_of_drawn_flights() -> None:
    for path in sorted((RESULTS / "survey").glob("seed-*.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        errors = f"{100 * found['length_error']:.1f} % | {100 * found['width_error']:.1f} % |"
        counts = f"{found['found']}/{found['cracks']} | {found['right']}/{found['findings']} | {found['duplicates']}"
        assert f"| {path.stem.removeprefix('seed-')} | {counts} | {errors}" in QUOTED


def test_the_documents_quote_the_matrix_of_models_and_data_sets() -> None:
    matrix = rows(RESULTS / "suite" / "matrix.csv")
    for model in {row["model"] for row in matrix}:
        cells = [ranking(row) for row in matrix if row["model"] == model]
        assert f"| {model} | {' | '.join(cells)} |" in QUOTED


def test_the_documents_quote_the_review_of_sdnet2018() -> None:
    from crack_tf.data.reviews import agreement, find_review
    from tflite.manifest import read_manifest

    for row in agreement(read_manifest(RESULTS / "data" / "sdnet2018.csv"), find_review("sdnet2018_walls")):
        assert f"| {row['label']} | {row['crack']} | {row['no_crack']} | {row['doubtful']} |" in QUOTED


def test_the_documents_quote_the_disputed_labels_of_metu() -> None:
    from tflite.manifest import read_manifest

    disputed = {row["sha256"] for row in rows(RESULTS / "data" / "metu-disputes.csv")}
    manifest = read_manifest(RESULTS / "data" / "metu-grouped.csv")
    assert f"dispute {len(disputed)} of {len(manifest.items):,}" in QUOTED
    assert not disputed & {item.sha256 for item in manifest.split("test")}


def test_the_documents_quote_what_corruptions_do_to_the_former_default() -> None:
    kinds = {row["corruption"] for row in rows(RESULTS / "suite" / "corruptions.csv")}
    assert len(kinds) == 9
    for row in rows(RESULTS / "suite" / "corruptions.csv"):
        if row["model"] == "mobilenet_v2_mixed" and row["severity"] in ("3", "5"):
            start = f"| {row['corruption'].replace('_', ' ')} |"
            (line,) = (line for line in QUOTED.splitlines() if line.startswith(start))
            assert f" {float(row['recall']):.3f} | {float(row['specificity']):.3f} |" in line


def test_the_documents_quote_the_candidates() -> None:
    for row in rows(RESULTS / "suite" / "candidates.csv"):
        size, macs = f"{int(row['int8_bytes']) / 1e3:,.0f}", f"{int(row['macs']) / 1e6:,.1f}"
        times = f"{float(row['p50_ms']):.2f} | {float(row['p90_ms']):.2f}"
        start = f"| {row['model']} | {row['image_size']} | {int(row['parameters']):,} | {macs}"
        assert f"{start} | {size} | {times} |" in QUOTED


def test_the_documents_quote_the_cost_of_a_photograph() -> None:
    for row in rows(RESULTS / "suite" / "cost.csv"):
        seconds, tiles = float(row["p50_s"]), float(row["tiles_per_s"])
        assert f"| {row['model']} | {row['tiles']} | {row['threads']} | {seconds:.2f} | {tiles:.0f} |" in QUOTED


def test_the_documents_quote_the_seconds_of_a_segmented_photograph() -> None:
    for row in rows(RESULTS / "segmentation" / "latency.csv"):
        cells = f"{float(row['total_p50_s']):.1f} | {float(row['peak_rss_mb']):.0f} | {row['delegate_nodes']} + {row['nodes_remaining']}"
        assert f"| {row['model']} | {row['tiles']} | {row['threads']} | {cells} |" in QUOTED


def test_the_documents_quote_speed_and_memory_of_surveys() -> None:
    for row in rows(RESULTS / "survey" / "performance.csv"):
        rate, peak = f"{float(row['photos_per_minute']):.1f}", f"{float(row['peak_memory_mb']):.0f}"
        assert f"| {row['photos']} | {row['size']} | {rate} | {peak} |" in QUOTED


def test_the_documents_quote_the_workers_of_a_cluster() -> None:
    for row in rows(RESULTS / "survey" / "workers.csv"):
        cost = f"{float(row['workers_cpu_s_per_photo']):.2f} | {float(row['caller_cpu_s_per_photo']):.2f}"
        assert f"| {row['workers']} | {row['photos_per_minute']} | {row['times_the_first']} | {cost} |" in QUOTED


def test_the_documents_quote_what_a_photograph_costs() -> None:
    for row in rows(RESULTS / "survey" / "photo-cost.csv"):
        times = f"{float(row['before_cpu_s']):.2f} | {float(row['cpu_s']):.2f} | {row['ratio']}"
        assert f"| {row['stage']} | {times} |" in QUOTED


def test_the_documents_quote_what_a_second_look_where_it_matters_costs() -> None:
    found = rows(RESULTS / "looks.csv")
    for row in found:
        names = ("set", "called_cracked", "called_clean_now", "clean", "looked_twice", "both_ms", "quick_ms")
        assert f"| {' | '.join(row[name] for name in names)} |" in QUOTED
    assert all(row["cracks_lost"] == "0" for row in found), "docs/decisions.md says that no crack was lost"


def test_the_documents_quote_what_a_second_look_at_a_few_tiles_brings() -> None:
    for row in rows(RESULTS / "second-look.csv"):
        counts = " | ".join(row[name] for name in ("cracks", "photographs", "called", "called_after"))
        more = int(row["tiles_again"]) / int(row["tiles"])
        assert f"| {row['set']} {row['split']} | {counts} | {more:.2f} |" in QUOTED


def test_the_documents_quote_what_a_second_look_for_wide_cracks_brings() -> None:
    folder = RESULTS / "wide-cracks"
    for row in rows(folder / "drawn.csv"):
        scores = " | ".join(f"{float(row[name]):.3f}" for name in ("iou", "iou_two", "f1", "f1_two"))
        errors = " | ".join(f"{100 * float(row[name]):.0f} %" for name in ("width_error", "width_error_two"))
        assert f"| {row['width_px']} | {scores} | {errors} |" in QUOTED
    for row in rows(folder / "photographs.csv"):
        scores = f"{float(row['f1']):.3f} | {float(row['f1_two']):.3f}"
        assert f"| {row['set']} | {row['photographs']} | {row['changed']} | {scores} |" in QUOTED
    scenes, crops = rows(folder / "clean.csv")
    assert (
        f"On {scenes['photographs']} crack-free scenes it draws {scenes['marks']} marks of 40 pixels or more with one look and "
        f"{scenes['marks_two']} with two, on {crops['photographs']} crops of scenes {crops['marks']} and {crops['marks_two']}."
    ) in QUOTED


def test_the_documents_quote_how_long_a_report_opens() -> None:
    for row in rows(RESULTS / "survey" / "report-page.csv"):
        assert f"| {int(row['findings']):,} | {row['page_mb']} | {row['open_s']} | {row['sort_s']} |" in QUOTED


def test_the_readmes_table_is_that_of_the_results() -> None:
    assert f"{readme_table.BEGIN}{readme_table.table()}{readme_table.END}" in README


def test_the_readmes_table_follows_the_results(tmp_path: Path) -> None:
    for folder in ("real-scenes", "suite"):
        shutil.copytree(RESULTS / folder, tmp_path / folder)
    shutil.copy(RESULTS / "second-look.csv", tmp_path)
    matrix = tmp_path / "real-scenes" / "matrix.csv"
    found = readme_table.only(rows(matrix), model=readme_table.default_name("classify"), set="brick")
    text = matrix.read_text(encoding="utf-8")
    part = f",{found['recall_high']},{found['specificity']},"  # the same value may stand in other rows
    assert text.count(part) == 1
    matrix.write_text(text.replace(part, f",{found['recall_high']},0.123,"), encoding="utf-8")
    assert "specificity 0.123 (" in readme_table.table(tmp_path)

    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{readme_table.BEGIN}old\n{readme_table.END}after\n", encoding="utf-8")
    assert readme_table.main(["--write", str(readme)]) == 0
    assert (
        readme.read_text(encoding="utf-8")
        == f"before\n{readme_table.BEGIN}{readme_table.table()}{readme_table.END}after\n"
    )
    readme.write_text("no marks\n", encoding="utf-8")
    assert readme_table.main(["--write", str(readme)]) == 2
    assert readme.read_text(encoding="utf-8") == "no marks\n"


def test_the_readmes_plain_words_fit_the_figures() -> None:
    matrix, default = rows(RESULTS / "real-scenes" / "matrix.csv"), readme_table.default_name("classify")

    def figure(name: str, kind: str) -> float:
        return float(readme_table.only(matrix, model=default, set=name)[kind])

    words = " ".join(README.split())
    assert "On close-up concrete hardly a crack is missed" in words
    assert figure("metu grouped", "recall") > 0.99
    assert "on photographs from drones one in ten, on walls almost three" in words
    assert 0.89 < figure("drone concrete", "recall") < 0.95
    assert 0.7 < figure("sdnet2018 walls", "recall") < 0.77
    assert "on asphalt half" in words
    assert 0.45 < figure("crack500 tiles", "recall") < 0.55
    assert "On brick one in three clean pieces is called cracked" in words
    assert 0.62 < figure("brick", "specificity") < 0.7


def test_the_documents_quote_the_throughput() -> None:
    for row in rows(RESULTS / "throughput.csv"):
        stages = " | ".join(row[f"{stage}_per_s"] for stage in ("decode", "pipeline", "training"))
        assert f"| {row['model']} | {row['image_size']} | {stages} | {row['pipeline_over_training']} |" in QUOTED


def test_the_documents_quote_the_classification_study() -> None:
    for row in rows(RESULTS / "tuning" / "study.csv"):
        names = ("recall", "specificity", "accuracy", "f1")
        cells = " | ".join(f"{float(row[name]):.4f} ({float(row[f'published_{name}']):.4f})" for name in names)
        assert f"| {row['model']} | {row['experiment']} | {cells} | {counts(row)} |" in QUOTED


def test_the_documents_quote_the_smallest_model_beside_opnet() -> None:
    folder = RESULTS / "nano"
    for row in rows(folder / "metrics.csv"):
        recall, specificity = rate(row, "recall", "tp", "fn"), rate(row, "specificity", "tn", "fp")
        assert f"| {row['name']} | {recall} | {specificity} |" in QUOTED
    (path,) = (folder / "benchmark").glob("*.json")
    nano, opnet = json.loads(path.read_text())["compare"]
    times = f"nano {nano['p50_ms']:.2f} ms, OPNet {opnet['p50_ms']:.2f} ms, {opnet['paired_ratio']:.0f} times as much"
    assert times in " ".join(QUOTED.split())


@pytest.mark.parametrize(
    ("model", "earlier"),
    [("mobilenet_v2_mixed", "mobilenet_v2-int8-qat"), ("mobilenet_v2_035_mixed", "mobilenet_v2-int8-ptq")],
)
def test_the_documents_quote_what_adverse_conditions_in_training_brought(model: str, earlier: str) -> None:
    def cells(name: str, **wanted: str) -> str:
        chosen = [
            next(row for row in rows(RESULTS / folder / name) if {"model": who, **wanted}.items() <= row.items())
            for folder, who in (("before-adverse", earlier), ("suite", model))
        ]
        return " | ".join(f"{float(row['recall']):.3f} | {float(row['specificity']):.3f}" for row in chosen)

    for kind in ("shadow", "wet", "noise", "low_light"):
        for severity in ("3", "5"):
            figures = cells("corruptions.csv", corruption=kind, severity=severity)
            assert f"| {kind.replace('_', ' ')}, severity {severity} | {figures} |" in QUOTED
    for name in ("sdnet2018 reviewed", "brick", "deepcrack tiles", "conglomerate tiles"):
        assert f"| {name} | {cells('matrix.csv', set=name)} |" in QUOTED


def test_the_documents_say_which_targets_are_met() -> None:
    found = {
        row["model"]: counts(row)
        for row in rows(RESULTS / "suite" / "splits.csv")
        if row["set"] == "metu grouped" and row["scheme"] != "keras"
    }
    ranked = {
        row["set"]: ranking(row)
        for row in rows(RESULTS / "suite" / "matrix.csv")
        if row["model"] == "mobilenet_v2_mixed"
    }
    speed = {row["model"]: float(row["p50_ms"]) for row in rows(RESULTS / "suite" / "candidates.csv")}
    small = 1 / paired_ratios(RESULTS / "tuning" / "finalists")["trial_0018/opnet_lite-int8-qat"]
    nano = paired_ratios(RESULTS / "nano" / "benchmark")["opnet-int8-qat"]
    (nano_file,) = (ROOT / "crack_tf" / "zoo_models" / "opnet_lite_nano").glob("*.tflite")
    times = f"{speed['opnet_lite_base']:.2f} for {speed['MobileNetV2 1.0']:.2f} ms"
    for cell in (
        f"on METU | {found['mobilenet_v2_mixed']} | met",
        f"{ranked['sdnet2018 walls']}; where a second reader is sure, {ranked['sdnet2018 reviewed']} | missed",
        f"never saw | {ranked['brick']} | met",
        f"{small:.0f} times; {found['opnet_lite_small']} | met",
        f"{nano:.0f} times, {nano_file.stat().st_size / 1000:.0f} kB; {found['opnet_lite_nano']} | met",
        f"{found['opnet_lite_base']} for {found['mobilenet_v2']}; {times} | four times as fast",
    ):
        assert cell in QUOTED


def test_the_documents_quote_the_segmentation_study() -> None:
    found = rows(RESULTS / "tuning" / "unet-study.csv")
    assert len(found) == 20
    for row in found:
        figures = " | ".join(f"{float(row[name]):.4f}" for name in ("val_loss", "f1", "iou", "recall"))
        by = " (F1)" if row["judged_by"] == "f1" else ""
        effects = f"{row['effect']}{by} | {row['published_effect']}" if row["versus"] else " | "
        assert f"| {row['experiment']} | {row['change']} | {row['versus']} | {figures} | {effects} |" in QUOTED


def test_the_documents_quote_every_trial_of_the_searchs_front() -> None:
    for row in rows(RESULTS / "tuning" / "pareto.csv"):
        knee = " (knee)" if row["knee"] == "1" else ""
        rates = " | ".join(
            f"{row[hits]}/{int(row[hits]) + int(row[misses])}" for hits, misses in (("tp", "fn"), ("tn", "fp"))
        )
        cost = f"{float(row['latency_ms']):.2f} | {float(row['kilobytes']):,.0f} | {float(row['macs']) / 1e6:.1f}"
        assert f"| {row['trial']}{knee} | {rates} | {cost} | {row['epochs']} |" in QUOTED


def test_the_documents_quote_the_front_of_the_search_over_sets_left_out() -> None:
    assert front_table(rows(RESULTS / "tuning" / "left-out" / "pareto.csv")) in QUOTED


def test_the_documents_quote_the_finalists_on_the_test_split_and_their_speed() -> None:
    folder = RESULTS / "tuning" / "finalists"
    for row in rows(folder / "metrics.csv"):
        recall, specificity = rate(row, "recall", "tp", "fn"), rate(row, "specificity", "tn", "fp")
        assert f"| {row['name']} | {recall} | {specificity} |" in QUOTED
    (path,) = folder.glob("benchmark-*.csv")
    for row in rows(path):
        assert f"| {row['model']} | {float(row['p50_ms']):.2f} | {int(row['file_bytes']) / 1000:,.0f} |" in QUOTED


def test_the_documents_quote_what_real_scenes_brought() -> None:
    folder = RESULTS / "real-scenes"
    for row in rows(folder / "domains.csv"):
        figures = " | ".join(f"{float(row[f'mean_{name}']):.3f}" for name in ("recall", "specificity"))
        worst = f"{float(row['worst_auc']):.3f} {row['worst_set']}"
        assert f"| {row['model']} | {row['sets']} | {float(row['mean_auc']):.3f} | {worst} | {figures} |" in QUOTED
    for row in rows(folder / "scenes.csv"):
        false = f"{float(row['false_per_photograph']):.2f} [{float(row['false_per_photograph_low']):.2f}, "
        assert f"| {row['set']} {row['split']} | {row['photographs']} | {row['found']}/{row['cracks']} |" in QUOTED
        assert f"{false}{float(row['false_per_photograph_high']):.2f}] |" in QUOTED
    for row in rows(folder / "masks.csv"):
        cells = [
            f"{float(row[name]):.3f} [{float(row[f'{name}_low']):.3f}, {float(row[f'{name}_high']):.3f}]"
            for name in ("f1", "tolerant_f1")
        ]
        assert f"| {row['set']} | {row['photographs']} | {' | '.join(cells)} |" in QUOTED
    text = " ".join(QUOTED.split())
    scenes = rows(folder / "classifiers" / "scenes.csv")
    for model, name in (
        ("mobilenet_v2_real", "the default"),
        ("mobilenet_v2_104_real", "`mobilenet_v2_104_real`"),
        ("mobilenet_v2_research", "`mobilenet_v2_research`"),
    ):
        own = [row for row in scenes if row["model"] == model]
        hits, cracks, errors = (sum(int(row[figure]) for row in own) for figure in ("found", "cracks", "false"))
        assert f"each finds the same {hits} of {cracks} cracks" in text
        assert re.search(rf"\b{errors}(?: false confirmed findings)? \({re.escape(name)}", text), model
    (path,) = (folder / "speed").glob("*.json")
    study, *others = json.loads(path.read_text())["compare"]
    assert study["model"].startswith("mobilenet_v2/")
    assert {entry["model"].partition("/")[0] for entry in others} == {"mobilenet_v2_real", *DEVICE_MODELS}
    for entry in others:
        start, end = f"| `{entry['model'].partition('/')[0]}` |", f" | {entry['paired_ratio']:.2f} |"
        assert any(line.startswith(start) and line.endswith(end) for line in QUOTED.splitlines()), start
    matrix = rows(folder / "matrix.csv")
    assert sets_table(matrix, ("mobilenet_v2_real", *DEVICE_MODELS)) in QUOTED
    assert sets_table(matrix, ("mobilenet_v2_real", "mobilenet_v2_research")) in QUOTED
    for row in matrix:
        found = (
            f"{float(row['specificity']):.3f} ({row['tn']}/{int(row['tn']) + int(row['fp'])})"
            if row["specificity"]
            else "-"
        )
        if row["model"] not in ("mobilenet_v2_real", "mobilenet_v2_mixed"):
            continue
        line = next(
            line
            for line in QUOTED.splitlines()
            if (line.startswith(f"| {row['set']} |") and "(" in line and "left out" in line)
            or line.startswith(f"| {row['set']} | other")
        )
        assert found in line


def test_the_documents_quote_what_each_part_of_the_training_brings() -> None:
    found = rows(RESULTS / "ingredients" / "summary.csv")
    assert ingredients.table(found) in QUOTED
    assert ingredients.curve_table(found) in QUOTED


def test_the_pages_of_adaptation_quote_their_studies() -> None:
    guide, page = ((ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("adapt.md", "results-adapt.md"))
    found = RESULTS / "adapt"
    cells = adapt_cells.table(
        rows(found / "cells" / "gains.csv"), *(rows(found / name / "runs.csv") for name in ("cells", "blocks-draws"))
    )
    quoted = [
        *adaptation_tables(rows(found / "summary.csv")),
        guard_table(rows(found / "guard.csv")),
        blocks_table(rows(found / "blocks" / "runs.csv")),
        labels_table(rows(found / "blocks-by-labels" / "summary.csv")),
        gains_table(rows(found / "blocks-draws" / "gains.csv")),
        cells,
        left_out_table(rows(found / "left-out" / "summary.csv")),
        features_table(rows(found / "features.csv"), 40, SHOWN_FEATURES),
    ]
    for table in quoted:
        assert table in page
    judged = [row["accepted"] for row in rows(found / "left-out" / "runs.csv") if row["accepted"]]
    assert f"**The guard** accepted {judged.count('1')} of {len(judged)}." in page
    guarded = [
        {
            (r["set"], r["labels"]): r["accepted"]
            for r in rows(found / name)
            if r["candidate"] == "blocks" and r["accepted"]
        }
        for name in ("cells/guard.csv", "blocks/runs.csv")
    ]
    both = guarded[0].keys() & guarded[1].keys()
    taken = [sum(one[draw] == "1" for draw in both) for one in guarded]
    assert f"{taken[0]} of {len(both)}, not {taken[1]}." in page
    drawn = labels_table(rows(found / "blocks-draws" / "summary.csv"))
    assert "| mean | 0.92: 0.85, 0.80 | 0.94: 0.89, 0.86 | - |" in drawn
    assert "find 0.89 of the cracks instead of 0.85 and leave 0.86 of the clean tiles alone instead\n  of 0.80" in page
    (alone,) = rows(found / "cells" / "suite" / "domains.csv")
    (default,) = (r for r in rows(RESULTS / "real-scenes" / "domains.csv") if r["model"] == "mobilenet_v2_real")
    auc, recall, specificity = (
        [f"{float(one[name]):.3f}" for one in (alone, default)]
        for name in ("mean_auc", "mean_recall", "mean_specificity")
    )
    words = " ".join(page.split())
    assert f"with a mean AUC of {auc[0]} instead of {auc[1]}" in words
    assert (
        f"recall is {recall[0]} instead of {recall[1]}, specificity {specificity[0]} instead of {specificity[1]}"
        in words
    )
    alarms, ranking = [], []
    for labels in ("20", "40"):
        last: dict[str, dict[str, float]] = {"cells": {}, "blocks-draws": {}}
        for name, figures in last.items():
            for row in rows(found / name / "gains.csv"):
                if row["labels"] == labels:
                    figures[row["figure"]] = float(row["change"])
                    figures[f"{row['figure']} shipped"] = float(row["shipped"])
        at = "specificity_at_recall"
        alarms += [f"{figures[at] / (1 - figures[f'{at} shipped']):.2f}" for figures in last.values()]
        line = next(one for one in cells.splitlines() if one.startswith(f"| {labels} |") and "area under" in one)
        start, adapted = (float(cell) for cell in line.split("|")[7:9])
        ranking += [adapted - start, last["blocks-draws"]["auc"]]
    assert f"{alarms[0]} of the false alarms go with twenty labels" in words
    assert f"last blocks of the default take {alarms[1]}; with forty {alarms[2]} and {alarms[3]}." in words
    grows = [f"{value:.3f}" for value in ranking]
    assert f"grows by {grows[0]}, that of the default by {grows[1]}; with forty by {grows[2]} and {grows[3]}." in words
    assert bridge_table(rows(found / "bridge.csv")) in guide

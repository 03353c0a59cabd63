"""The cross-checks on real data: real training runs, a real fleet's power, a real machine's attestations.

Data, outside the repository: figures of notable models (Epoch AI, CC BY 4.0), the distributions of power of A100s and
their servers (AcmeTrace, Shanghai AI Laboratory, CC BY 4.0), quotes of eight H100s and the four switches between them
(NVIDIA/nvtrust). Without the folder these tests are skipped.
"""

import base64
import csv
import json
import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from cryptography import x509

from ledger.charter import Accelerator
from ledger.crosschecks.attestations import compare_attested, compare_topology
from ledger.crosschecks.comparisons import Outcome
from ledger.crosschecks.figures import Figures
from ledger.crosschecks.histories import RunWord, compare_base
from ledger.crosschecks.rows import Surroundings, compare_energy
from ledger.crosschecks.runs import compare_lineage, compare_run_operations

# Peaks of the makers' data sheets: dense, in the 16-bit format that models are trained in.
PEAK_TFLOPS = {
    "Google TPU v3": 123,
    "Google TPU v4": 275,
    "NVIDIA A100": 312,
    "NVIDIA A100 SXM4 40 GB": 312,
    "NVIDIA A100 SXM4 80 GB": 312,
    "NVIDIA A800": 312,
    "NVIDIA GeForce RTX 3090": 71,
    "NVIDIA H100 SXM5 80GB": 989,
    "NVIDIA Tesla V100 DGXS 32 GB": 125,
    "NVIDIA V100": 125,
}
ANNEX = {
    name: Accelerator(model="chip", peak_gflops=tflops * 1_000, tdp_w=0, idle_w=0)
    for name, tflops in PEAK_TFLOPS.items()
}
# What the derived models grew from: names of the file, or operations as published. LLaMA-13B: 6 x 13e9 parameters x
# 1e12 tokens; Llama 2-13B: as the file's authors give it; PaLM: as the paper on Flan-PaLM rounds it (arXiv 2210.11416).
LINEAGE: dict[str, tuple[str, ...]] = {
    "U-PaLM (540B)": ("PaLM (540B)",),
    "Minerva (540B)": ("PaLM (540B)",),
    "Flan-PaLM 540B": ("2.5e24",),
    "OpenVLA": ("Llama 2-7B", "DINOv2"),
    "LLaVA": ("7.8e22",),
    "LLaVA 1.5": ("7.8e22",),
    "FinGPT-13B": ("1.6e23",),
    "SPHINX (Llama 2 13B)": ("1.6e23",),
    "LUKE": ("RoBERTa Large",),
}
INCONSISTENT = {"SPHINX (Llama 2 13B)", "LUKE"}  # rows whose own figures contradict each other


@dataclass(frozen=True)
class Model:
    """A row of the file whose chips and hours are known."""

    name: str
    pflop: int
    chip_seconds: dict[str, int]

    def judge(self, run_pflop: int) -> Outcome:
        return compare_run_operations(
            self.name, run_pflop=run_pflop, chip_seconds=self.chip_seconds, accelerators=ANNEX
        ).outcome


def to_pflop(flop: str) -> int:
    return math.ceil(Fraction(Decimal(flop)) / 10**15)


@pytest.fixture(scope="module")
def rows(samples_dir: Path) -> list[dict[str, str]]:
    path = samples_dir / "epoch-models" / "epoch_notable_models_compute_2025-02-24.csv"
    if not path.is_file():
        pytest.skip("no figures of notable models among the sample data")
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def models(rows: list[dict[str, str]]) -> dict[str, Model]:
    """Give the models whose hardware, number of chips and hours are known, by name."""
    return {model.name: model for model in read_models(rows)}


def read_models(rows: list[dict[str, str]]) -> Iterator[Model]:
    for row in rows:
        hours, chips, hardware = row["Training time (hours)"], row["Hardware quantity"], row["Training hardware"]
        if hours and chips and hardware:
            chip_s = math.ceil(Fraction(Decimal(chips)) * Fraction(Decimal(hours)) * 3_600)
            yield Model(row["Model"], to_pflop(row["Training compute (FLOP)"]), {hardware: chip_s})


def base_pflop(model: str, rows: list[dict[str, str]]) -> int:
    listed = {row["Model"]: row["Training compute (FLOP)"] for row in rows}
    return sum(to_pflop(listed.get(base, base)) for base in LINEAGE[model])


def test_only_derived_models_did_more_than_their_chips_can_if_their_base_is_left_out(models: dict[str, Model]) -> None:
    outcomes = {name: model.judge(model.pflop) for name, model in models.items()}
    assert {name for name, outcome in outcomes.items() if outcome == Outcome.FAILS} == set(LINEAGE)
    # Every model that was trained from scratch holds; the rest ran on hardware that the annex above leaves out.
    assert Counter(outcomes.values()) == {Outcome.HOLDS: 85, Outcome.FAILS: 9, Outcome.NOT_COMPARABLE: 27}


@pytest.mark.parametrize("name", sorted(set(LINEAGE) - INCONSISTENT))
def test_a_derived_model_passes_with_its_lineage_and_fails_without(
    name: str, models: dict[str, Model], rows: list[dict[str, str]]
) -> None:
    model, base = models[name], base_pflop(name, rows)
    run = model.pflop - base
    assert run >= 0
    lineage = compare_lineage(name, cumulative_pflop=model.pflop, run_pflop=run, base_pflop=base)
    assert lineage.outcome == Outcome.HOLDS
    assert model.judge(run) in {Outcome.HOLDS, Outcome.UNUSUAL}
    # Without: either the run is said to have done it all, or its figures do not add up.
    assert model.judge(model.pflop) == Outcome.FAILS
    if run != model.pflop:
        forgotten = compare_lineage(name, cumulative_pflop=model.pflop, run_pflop=run, base_pflop=0)
        assert forgotten.outcome == Outcome.FAILS


@pytest.mark.parametrize("name", sorted(set(LINEAGE) - INCONSISTENT))
def test_a_derived_model_begins_with_what_its_base_came_to_and_not_with_nothing(
    name: str, models: dict[str, Model], rows: list[dict[str, str]]
) -> None:
    base, total = base_pflop(name, rows), models[name].pflop
    trained = RunWord(number=1, state="completed", run_pflop=base, cumulative_pflop=base)
    honest = RunWord(number=2, state="completed", run_pflop=total - base, cumulative_pflop=total)
    assert compare_base(name, honest, base=[trained]).outcome == Outcome.HOLDS
    hiding = RunWord(number=2, state="completed", run_pflop=total - base, cumulative_pflop=total - base)
    assert compare_base(name, hiding, base=[trained]).outcome == Outcome.FAILS


def test_u_palm_passes_by_its_own_small_run(models: dict[str, Model]) -> None:
    model, run = models["U-PaLM (540B)"], to_pflop("4e21")
    assert model.pflop == to_pflop("2.53e24")
    assert model.judge(run) == Outcome.HOLDS
    base = to_pflop("2.526e24")
    found = compare_lineage(model.name, cumulative_pflop=model.pflop, run_pflop=run, base_pflop=base)
    assert found.outcome == Outcome.HOLDS


def test_figures_that_contradict_each_other_are_caught_with_lineage_too(
    models: dict[str, Model], rows: list[dict[str, str]]
) -> None:
    # Fewer operations in all than its base model has: no run of its own can make that true.
    sphinx = models["SPHINX (Llama 2 13B)"]
    assert sphinx.pflop < base_pflop(sphinx.name, rows)
    found = compare_lineage(
        sphinx.name, cumulative_pflop=sphinx.pflop, run_pflop=0, base_pflop=base_pflop(sphinx.name, rows)
    )
    assert found.outcome == Outcome.FAILS
    # More of its own than its 16 chips can do in 30 days.
    luke = models["LUKE"]
    assert luke.judge(luke.pflop - base_pflop(luke.name, rows)) == Outcome.FAILS


# --- a real fleet's power --------------------------------------------------------------------------------------------

A100 = Accelerator(model="a100", peak_gflops=312_000, tdp_w=400, idle_w=50)
DAY_S = 86_400


def read_power(samples_dir: Path, file: str, column: str) -> list[Fraction]:
    """Read watts at a thousand equal steps of the distribution."""
    path = samples_dir / "acme-trace" / file
    if not path.is_file():
        pytest.skip("no distributions of power among the sample data")
    with path.open(encoding="utf-8", newline="") as lines:
        return [Fraction(Decimal(row[column])) for row in csv.DictReader(lines)]


def judge_power(powers_w: list[Fraction], *, seconds: int, building_w: Fraction | None = None) -> list[Outcome]:
    """Run X4 on GPUs that drew these powers, one each: the building's energy, and the accelerators'."""
    energy_wh = int(sum(powers_w) * seconds / 3_600)
    facility_wh = energy_wh if building_w is None else int(building_w * seconds / 3_600)
    figures = Figures(
        chip_seconds={"a100": len(powers_w) * seconds}, energy_wh=energy_wh, facility_energy_wh=facility_wh
    )
    around = Surroundings(interval_s=seconds, accelerators={"a100": A100}, is_energy_measured=True)
    return [found.outcome for found in compare_energy("fleet", figures, around)]


@pytest.mark.parametrize(("cluster", "mean_w", "too_little", "too_much"), [("kalos", 191, 0, 1), ("seren", 168, 1, 1)])
def test_the_bounds_of_energy_fit_a_real_fleet(
    cluster: str, mean_w: int, too_little: int, too_much: int, samples_dir: Path
) -> None:
    powers_w = read_power(samples_dir, f"gpu_power_{cluster}.csv", "gpu_power_w")
    assert len(powers_w) == 1_000
    assert int(sum(powers_w) / 1_000) == mean_w
    assert judge_power(powers_w, seconds=DAY_S)[1] == Outcome.HOLDS
    # Idle GPUs alone, busy ones alone, and any eight in a row of the distribution: nothing unusual about them.
    assert judge_power(sorted(powers_w)[:100], seconds=DAY_S)[1] == Outcome.HOLDS
    assert judge_power(sorted(powers_w)[-100:], seconds=DAY_S)[1] == Outcome.HOLDS
    eights = [sorted(powers_w)[at : at + 8] for at in range(0, 1_000, 8)]
    assert {judge_power(eight, seconds=3_600)[1] for eight in eights} == {Outcome.HOLDS}
    # One GPU for one hour at one power: what is flagged are the ends of the distribution, single readings of power.
    flagged = [power for power in powers_w if judge_power([power], seconds=3_600)[1] != Outcome.HOLDS]
    assert [sum(power < 50 for power in flagged), sum(power > 520 for power in flagged)] == [too_little, too_much]
    assert len(flagged) == too_little + too_much


def test_the_bounds_of_energy_bite_where_a_real_fleet_never_is(samples_dir: Path) -> None:
    powers_w = read_power(samples_dir, "gpu_power_seren.csv", "gpu_power_w")
    for share in (Fraction(1, 4), Fraction(4)):  # a quarter of the energy declared; as many chips again hidden, thrice
        assert judge_power([power * share for power in powers_w], seconds=DAY_S)[1] == Outcome.UNUSUAL


def test_a_real_fleets_servers_in_a_real_building_are_not_unusual(samples_dir: Path) -> None:
    gpus_w = read_power(samples_dir, "gpu_power_seren.csv", "gpu_power_w")
    servers_w = read_power(samples_dir, "server_power.csv", "gpu_server_power_w")
    server_w = sum(servers_w, Fraction(0)) / len(servers_w)
    eight_gpus_w = 8 * sum(gpus_w, Fraction(0)) / len(gpus_w)
    assert 2 < server_w / eight_gpus_w < Fraction(9, 4)  # a server alone draws more than twice what its GPUs do
    for effectiveness in (Fraction(1), Fraction(5, 4), Fraction(9, 5)):
        building_w = server_w * effectiveness * len(gpus_w) / 8
        assert judge_power(gpus_w, seconds=DAY_S, building_w=building_w) == [Outcome.HOLDS, Outcome.HOLDS]


# --- a real machine's attestations -----------------------------------------------------------------------------------

REQUEST_BYTES = 37  # a quote is the request of DMTF DSP0274, then the response
FIELD_PDI, FIELD_GPU_PDIS = 22, 26  # of a switch: its own id, and its links' accelerators; of an accelerator: switches
PDI_BYTES, GPUS = 8, 8


@dataclass(frozen=True)
class Machine:
    """Ids that quotes name, as hex: what each accelerator and each switch says it is linked to."""

    gpus: dict[str, list[str]]
    switches: dict[str, list[str]]

    def list_failed(self) -> list[str]:
        compared = compare_topology("machine", gpus=self.gpus, switches=self.switches)
        return [found.field for found in compared if found.outcome != Outcome.HOLDS]


def read_opaque_fields(quote: bytes) -> dict[int, bytes]:
    """Read the maker's own fields of a measurements response, by type (DSP0274: header, record, nonce, opaque data)."""
    response = quote[REQUEST_BYTES:]
    at = 8 + int.from_bytes(response[5:8], "little") + 32
    opaque = response[at + 2 : at + 2 + int.from_bytes(response[at : at + 2], "little")]
    fields, at = {}, 0
    while at < len(opaque):
        kind, size = (int.from_bytes(opaque[start : start + 2], "little") for start in (at, at + 2))
        fields[kind] = opaque[at + 4 : at + 4 + size]
        at += 4 + size
    return fields


def split_ids(raw: bytes) -> list[bytes]:
    return [raw[at : at + PDI_BYTES] for at in range(0, len(raw), PDI_BYTES)]


@pytest.fixture(scope="module")
def machine(samples_dir: Path) -> Machine:
    folder = samples_dir / "nvidia-gpu"
    if not (folder / "ppcie_gpu_evidence.json").is_file():
        pytest.skip("no quotes of a machine among the sample data")
    gpus: dict[str, list[str]] = {}
    for quote in json.loads((folder / "ppcie_gpu_evidence.json").read_text(encoding="utf-8")):
        leaf = x509.load_pem_x509_certificates(base64.b64decode(quote["certificate"]))[0]
        (serial,) = leaf.issuer.get_attributes_for_oid(
            x509.NameOID.SERIAL_NUMBER
        )  # two digits of its kind, then its id
        named = read_opaque_fields(base64.b64decode(quote["evidence"]))[FIELD_PDI]
        gpus[str(serial.value)[2:].lower()] = [switch[::-1].hex() for switch in split_ids(named)]
    switches = {}
    for quote in json.loads((folder / "ppcie_switch_evidence.json").read_text(encoding="utf-8")):
        fields = read_opaque_fields(base64.b64decode(quote["evidence"]))
        named = fields[FIELD_GPU_PDIS][: GPUS * PDI_BYTES]
        switches[fields[FIELD_PDI].hex()] = [gpu.hex() for gpu in split_ids(named)]
    return Machine(gpus, switches)


def test_the_accelerators_and_switches_of_a_real_machine_name_each_other(machine: Machine) -> None:
    assert (len(machine.gpus), len(machine.switches)) == (8, 4)
    assert machine.list_failed() == []
    compared = compare_attested("machine", attested=list(machine.gpus), listed=list(machine.gpus))
    assert [found.outcome for found in compared] == [Outcome.HOLDS, Outcome.HOLDS]


def test_an_accelerator_that_was_taken_out_of_a_real_machine_or_put_into_it_is_missed(machine: Machine) -> None:
    (lent, links), *others = machine.gpus.items()
    assert Machine(dict(others), machine.switches).list_failed() == [f"switch.{switch}" for switch in machine.switches]
    swapped = Machine({"00" * 8: links, **dict(others)}, machine.switches)
    assert swapped.list_failed() == [f"gpu.{'00' * 8}", *(f"switch.{switch}" for switch in machine.switches)]
    assert lent not in swapped.gpus

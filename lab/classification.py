"""Which job was what: the mapping from the scheduler's names to the uses a report splits chip-seconds by.

A TOML file of the lab, read from top to bottom; the first rule whose patterns all match decides:

    [default]                          # for jobs that no rule matches; this table may be left out
    use = "other"
    utilisation_permille = 400

    [[rule]]
    partition = "train*"               # shell patterns (* ? [..]), case counts; a pattern that is left out matches
    account = "pretraining"            # patterns may be on: cluster, partition, account, qos, name
    use = "training"                   # training, post_training, inference, evaluation, other
    run = "{name}"                     # run id; {name}, {account}, {partition}, {qos}, {cluster} stand for the job's
    utilisation_permille = 420         # assumed share of the peak FLOP/s while the chips are held

Only uses that change weights (training, post_training) have a run; without `run` the job's name is it. Run ids are made
lower case, with `-` for every other character. Operations are chip-seconds x peak x utilisation, so a rule with 1000
gives the upper bound. What the mapping calls "other" is not counted as training: how many GPU jobs no rule matched is
among the report's warnings, since a forgotten rule hides training.
"""

import re
import tomllib
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

import msgspec

from lab.records import TRAINING_USES, Job, Use
from ledger.errors import Code, ConditionError
from ledger.limits import IDENTIFIER_CHARACTERS_MAX

MAPPING_BYTES_MAX: Final = 1024 * 1024
RULES_COUNT_MAX: Final = 1_000
UTILISATION_DEFAULT_PERMILLE: Final = 400

_PLACEHOLDERS: Final = ("cluster", "partition", "account", "qos", "name")
_PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")
_NOT_IDENTIFIER: Final = re.compile(r"[^a-z0-9-]+")


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One rule of the file; see the module's text."""

    use: Use
    cluster: str = "*"
    partition: str = "*"
    account: str = "*"
    qos: str = "*"
    name: str = "*"
    run: str = "{name}"
    utilisation_permille: int | None = None


class Default(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What holds where no rule matches, or a rule is silent."""

    use: Use = Use.OTHER
    utilisation_permille: int = UTILISATION_DEFAULT_PERMILLE


class UseMapping(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The whole file."""

    default: Default = Default()
    rules: tuple[Rule, ...] = msgspec.field(default=(), name="rule")


@dataclass(frozen=True, slots=True)
class Classified:
    """What a job was.

    Attributes:
        use: what for.
        run: id of its training run, for the uses that have one.
        utilisation_permille: assumed share of the peak.
        is_default: whether no rule matched.
    """

    use: Use
    run: str | None
    utilisation_permille: int
    is_default: bool


def parse_use_mapping(raw: bytes) -> UseMapping:
    """Read the file.

    Raises:
        ConditionError: not such a file (`CONFIG`); the message names the rule and its field.
    """
    if len(raw) > MAPPING_BYTES_MAX:
        raise _wrong("mapping", f"{len(raw)} bytes", f"at most {MAPPING_BYTES_MAX} bytes")
    try:
        mapping = msgspec.convert(tomllib.loads(raw.decode("utf-8")), UseMapping)
    except (ValueError, RecursionError) as error:  # TOML, UTF-8, types, and a number of too many digits
        raise _wrong("mapping", str(error), "TOML with [default] and [[rule]] tables") from None
    if len(mapping.rules) > RULES_COUNT_MAX:
        raise _wrong("mapping.rule", f"{len(mapping.rules)} rules", f"at most {RULES_COUNT_MAX}")
    _check_utilisation(mapping.default.utilisation_permille, "mapping.default")
    for number, rule in enumerate(mapping.rules, start=1):
        place = f"mapping.rule {number}"
        if rule.utilisation_permille is not None:
            _check_utilisation(rule.utilisation_permille, place)
        for placeholder in _PLACEHOLDER.findall(rule.run):
            if placeholder not in _PLACEHOLDERS:
                raise _wrong(f"{place}.run", rule.run, f"placeholders among {', '.join(_PLACEHOLDERS)}")
    return mapping


def classify_job(job: Job, mapping: UseMapping) -> Classified:
    """Find what a job was: the first rule that matches, else the default."""
    for rule in mapping.rules:
        if _matches(rule, job):
            utilisation = rule.utilisation_permille
            return Classified(
                use=rule.use,
                run=_run(rule.run, job) if rule.use in TRAINING_USES else None,
                utilisation_permille=mapping.default.utilisation_permille if utilisation is None else utilisation,
                is_default=False,
            )
    default = mapping.default
    return Classified(
        use=default.use,
        run=_run("{name}", job) if default.use in TRAINING_USES else None,
        utilisation_permille=default.utilisation_permille,
        is_default=True,
    )


def _matches(rule: Rule, job: Job) -> bool:
    return all(fnmatchcase(getattr(job, field), getattr(rule, field)) for field in _PLACEHOLDERS)


def _run(template: str, job: Job) -> str:
    """Fill in a template and make an identifier of it."""
    filled = _PLACEHOLDER.sub(lambda match: str(getattr(job, match[1])), template)
    return _NOT_IDENTIFIER.sub("-", filled.lower()).strip("-")[:IDENTIFIER_CHARACTERS_MAX] or "unnamed"


def _check_utilisation(permille: int, place: str) -> None:
    if not 0 < permille <= 1000:
        raise _wrong(f"{place}.utilisation_permille", permille, "a whole number from 1 to 1000")


def _wrong(field: str, found: object, expected: str) -> ConditionError:
    return ConditionError(field=field, found=found, expected=expected, code=Code.CONFIG)

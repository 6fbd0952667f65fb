"""Mutation tests of the modules that decide: does a test fail for each small fault in them?

    make mutants                          # all modules; hours on two cores
    make mutants MODULE=jobs/lease.py     # one of them
    python scripts/mutants.py --retry     # only the mutants that survived last time: after new tests
    python scripts/mutants.py --table     # what is known so far

cosmic-ray makes one change at a time, in a copy of the working tree, and runs the tests named below. Results
are kept in var/mutants, so a run that was interrupted goes on. Survivors are listed with their change; those
that change nothing a test could see are in docs/mutants.md, with the reason.
"""

from __future__ import annotations

import argparse
import ast
import contextlib
import difflib
import importlib
import multiprocessing
import os
import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from types import ModuleType

from cosmic_ray.commands import init
from cosmic_ray.mutating import mutate_code, use_mutation
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_db import use_db
from cosmic_ray.work_item import MutationSpec, TestOutcome, WorkerOutcome, WorkResult

ROOT = Path(__file__).resolve().parent.parent
FOLDER = (ROOT / "var").resolve() / "mutants"
EQUIVALENTS = ROOT / "docs" / "mutants.md"
VAR = FOLDER / "var"  # of the tests
LIBRARIES = FOLDER / "libraries.txt"
FORK = multiprocessing.get_context("fork")
SECONDS = 30.0  # for the tests of one mutant; what takes longer counts as killed

JOBS, VOTING = "tests/jobs", "tests/validation/voting"
ENGINE, AGREEMENT, PEOPLE = "tests/trainer/engine", "tests/validation/agreement", "tests/validation/people"
# Each module that decides, and the tests that judge it.
TESTS = {
    "trainer/engine/serving/predict.py": f"{ENGINE}/serving/test_suggester.py",
    "trainer/engine/evaluation/calibrate.py": f"{ENGINE}/evaluation/test_calibrate.py",
    "trainer/engine/training/stopper.py": f"{ENGINE}/training/test_stopper.py",
    "trainer/engine/training/schedule.py": f"{ENGINE}/training/test_schedule.py",
    "validation/voting/votes.py": " ".join(
        f"{VOTING}/test_{name}.py" for name in ("vote_counts", "record_vote", "undo_vote")
    ),
    "validation/voting/teaching.py": f"{VOTING}/test_teaching.py",
    "jobs/lease.py": f"{JOBS}/test_lease.py",
    "jobs/queue.py": f"{JOBS}/test_sending.py {JOBS}/test_lease.py",
    "jobs/work.py": f"{JOBS}/test_lease.py {JOBS}/test_slots.py",
    "validation/agreement/strata.py": f"{AGREEMENT}/test_counts_by_stratum.py {AGREEMENT}/test_strata.py",
    "validation/campaigns/counts.py": f"{VOTING}/test_vote_counts.py {AGREEMENT}/test_strata.py",
    "validation/people/crowd.py": f"{PEOPLE}/test_flags.py {PEOPLE}/test_crowd.py",
    "hashtags_site/roles.py": "tests/site/test_roles.py",
    "mapping/acts.py": "tests/mapping/test_acts.py",
}
# Of the views only the permissions they ask for.
PERMISSION = "@permission_required("
VIEWS = {
    str(path.relative_to(ROOT)): "tests/site/test_roles.py"
    for path in sorted(ROOT.glob("*/views/*.py"))
    if PERMISSION in path.read_text(encoding="utf-8")
}
VIEWS["mapping/views/entries.py"] += " tests/mapping/test_change_entry.py"  # who looks may not save
TESTS |= VIEWS

# Of the changes that can be made to an operator, those that could be mistakes: `<` to `<=`, not `+` to `^`.
BINARY = "Add_Sub|Sub_Add|Mul_Div|Div_Mul|FloorDiv_Div|Mod_FloorDiv|Pow_Mul|BitOr_BitAnd|BitAnd_BitOr"
MISTAKES = re.compile(
    r"core/(?!Replace(Binary|Comparison|Unary)Operator)"
    rf"|core/ReplaceBinaryOperator_({BINARY})$"
    r"|core/ReplaceComparisonOperator_((?!Is)\w+_(?!Is)\w+|Is_IsNot|IsNot_Is)$"
    r"|core/ReplaceUnaryOperator_Delete_"
)


@dataclass
class Score:
    killed: int = 0
    late: int = 0  # of those killed, because their tests did not end in time
    equivalent: int = 0
    untried: int = 0
    survivors: list[str] = field(default_factory=list)

    def __add__(self, other: Score) -> Score:
        return Score(
            self.killed + other.killed,
            self.late + other.late,
            self.equivalent + other.equivalent,
            self.untried + other.untried,
            self.survivors + other.survivors,
        )

    @property
    def share(self) -> str:
        total = self.killed + len(self.survivors)
        return f"{self.killed / total:.0%}" if total else ""


def main() -> int:
    parser = argparse.ArgumentParser(description="Mutation tests of the modules that decide.")
    parser.add_argument("modules", nargs="*", default=list(TESTS))
    parser.add_argument("--retry", action="store_true", help="try the survivors again")
    parser.add_argument(
        "--most", type=int, help="mutants of each module: an even sample of those not tried yet"
    )
    parser.add_argument("--table", action="store_true", help="run nothing")
    options = parser.parse_args()
    os.environ |= {"SCENETAG_VAR": str(VAR), "OMP_NUM_THREADS": "1"}
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else every mutant compiles all tests anew
    if not options.table:
        for module in options.modules:
            judge(module, options.most, retry=options.retry)
    scores = {module: read_score(module) for module in options.modules}
    view_scores = [scores.pop(module) for module in VIEWS if module in scores]
    if view_scores:
        scores["permissions that views ask for"] = sum(view_scores, Score())
    print_table(scores)
    return 0


def judge(module: str, most: int | None, *, retry: bool) -> None:
    """Run the tests of a module against each of its mutants that has no result yet."""
    session_path = find_session(module)
    tree = copy_tree()
    os.chdir(tree)  # cosmic-ray's paths are relative
    sys.path.insert(0, str(tree))
    if run_tests(module, prepare=True) != TestOutcome.SURVIVED:
        sys.exit(f"The tests of {module} fail without a mutant: pytest {TESTS[module]}")
    import_libraries()
    if not session_path.exists():
        find_mutants(module, session_path)
    with use_db(session_path) as session:
        if retry:
            results = session.completed_work_items
            items = [item for item, result in results if result.test_outcome == TestOutcome.SURVIVED]
        else:
            items = list(session.pending_work_items)[:most]  # in random order
        for number, item in enumerate(items, 1):
            mutation = item.mutations[0]
            operator = get_operator(mutation.operator_name)()
            with use_mutation(Path(module), operator, mutation.occurrence) as (old, new):
                outcome = run_tests(module)
            change = describe(mutation, old, new)
            session.set_result(
                item.job_id, WorkResult(WorkerOutcome.NORMAL, test_outcome=outcome, diff=change)
            )
            print(f"{module} {number}/{len(items)} {outcome.name} {change}", flush=True)


def run_tests(module: str, *, prepare: bool = False) -> TestOutcome:
    """In a fork of this process, which has the libraries but nothing of the project: a mutant costs a second
    where a new process would take five.
    """
    shutil.rmtree(VAR, ignore_errors=True)
    tests = FORK.Process(target=run_pytest, args=(module, prepare))
    tests.start()
    tests.join(None if prepare else SECONDS)
    if tests.exitcode is None:
        os.killpg(tests.pid or 0, signal.SIGKILL)
        tests.join()
        return TestOutcome.INCOMPETENT
    return TestOutcome.KILLED if tests.exitcode else TestOutcome.SURVIVED


def run_pytest(module: str, prepare: bool) -> None:
    import pytest

    os.setsid()  # a group of its own, which can be killed as a whole
    with Path(os.devnull if not prepare else FOLDER / "baseline.log").open("w") as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
    code = pytest.main(["-q", "-x", "-n", "0", *TESTS[module].split()])
    if prepare:
        names = [name for name, one in sys.modules.items() if is_library(one)]
        LIBRARIES.write_text("\n".join(names), encoding="utf-8")
    os._exit(code)


def is_library(module: ModuleType) -> bool:
    file = getattr(module, "__file__", None) or ""
    return module.__name__ != "__main__" and bool(file) and not file.startswith(str(FOLDER))


def import_libraries() -> None:
    """What the tests import, other than the project: here once, instead of once for each mutant."""
    for name in LIBRARIES.read_text(encoding="utf-8").splitlines():
        with contextlib.suppress(Exception):  # some of Django's need its settings
            importlib.import_module(name)


def find_session(module: str) -> Path:
    """Where the results of this module are, as it is now: a changed module has other mutants."""
    name = module.removesuffix(".py").replace("/", ".")
    return FOLDER / f"{name}.{sha256((ROOT / module).read_bytes()).hexdigest()[:8]}.sqlite"


def copy_tree() -> Path:
    """The working tree as it is now. No file in it is changed, not even by a run that is interrupted."""
    copy = FOLDER / "tree"
    for old in copy.glob("[!.]*"):  # .pytest_cache stays: it has a migrated database
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    names = subprocess.check_output(["git", "ls-files", "-co", "--exclude-standard"], text=True, cwd=ROOT)
    for name in names.splitlines():
        if (ROOT / name).is_file():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, copy / name)
    (copy / "var").mkdir()
    (copy / "var" / "nltk_data").symlink_to((ROOT / "var" / "nltk_data").resolve())
    return copy


def find_mutants(module: str, session_path: Path) -> None:
    """Skips unlikely mistakes, invalid Python, and annotations, which are never evaluated."""
    source = Path(module).read_text(encoding="utf-8")
    spans = find_annotations(source)
    part = session_path.with_suffix(".part")
    with use_db(part) as session:
        init([Path(module)], session, {})
        for item in session.pending_work_items:
            if not is_worthwhile(item.mutations[0], source, spans):
                session.set_result(item.job_id, WorkResult(worker_outcome=WorkerOutcome.SKIPPED))
    part.rename(session_path)  # an interrupted one does not count


def is_worthwhile(mutation: MutationSpec, source: str, spans: list[ast.expr]) -> bool:
    line, column = mutation.start_pos
    text = source.splitlines()[line - 1][column:]
    if str(mutation.module_path) in VIEWS:
        return bool(text.startswith(PERMISSION))
    is_bare_star = text.startswith("*,")  # of keyword-only parameters
    if is_bare_star or not MISTAKES.match(mutation.operator_name) or is_within(mutation, spans):
        return False
    code = mutate_code(source, get_operator(mutation.operator_name)(), mutation.occurrence)
    try:
        compile(code, "mutant", "exec")
    except SyntaxError:
        return False
    return True


def find_annotations(source: str) -> list[ast.expr]:
    expressions: list[ast.expr | None] = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.arg | ast.AnnAssign):
            expressions.append(node.annotation)
        elif isinstance(node, ast.FunctionDef):
            expressions.append(node.returns)
        elif isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            expressions.append(node.test)
    return [one for one in expressions if one is not None]


def is_within(mutation: MutationSpec, spans: list[ast.expr]) -> bool:
    line, column = mutation.start_pos
    return any(
        (one.lineno, one.col_offset) <= (line, column) < (one.end_lineno or 0, one.end_col_offset or 0)
        for one in spans
    )


def read_score(module: str) -> Score:
    score = Score()
    if not find_session(module).exists():
        return score
    equivalents = EQUIVALENTS.read_text(encoding="utf-8") if EQUIVALENTS.exists() else ""
    with use_db(find_session(module)) as session:
        score.untried = len(session.pending_work_items)
        for _, result in session.completed_work_items:
            if result.worker_outcome == WorkerOutcome.SKIPPED:
                continue
            change = " ".join((result.diff or "").split())
            if result.test_outcome != TestOutcome.SURVIVED:
                score.killed += 1
                score.late += result.test_outcome == TestOutcome.INCOMPETENT
            elif f"`{module}` `{change}`" in equivalents:
                score.equivalent += 1
            else:
                score.survivors.append(f"`{module}` `{change}`")
    return score


def describe(mutation: MutationSpec, old: str, new: str) -> str:
    """The changed line, after the name of its function; or the line that is gone, and the next one."""
    lines = list(difflib.ndiff(old.splitlines(), new.splitlines()))
    new_lines = " ".join(line[2:] for line in lines if line.startswith("+ "))
    old_lines = [at for at, line in enumerate(lines) if line.startswith("- ")]
    text = new_lines or "without " + " ".join(lines[at][2:] for at in (*old_lines, old_lines[-1] + 1))
    return " ".join(f"{mutation.definition_name or 'module'}: {text}".split())


def print_table(scores: dict[str, Score]) -> None:
    for change in sorted(change for score in scores.values() for change in score.survivors):
        print(f"- {change}")
    print("| module | mutants | killed | equivalent | survived | not tried | score |")
    print("|---|---|---|---|---|---|---|")
    for module, one in scores.items():
        mutants = one.killed + one.equivalent + len(one.survivors) + one.untried
        deaths = f"{one.killed} ({one.late} too slow)" if one.late else f"{one.killed}"
        print(
            f"| {module} | {mutants} | {deaths} | {one.equivalent} | {len(one.survivors)} | {one.untried} "
            f"| {one.share} |"
        )


if __name__ == "__main__":
    sys.exit(main())

"""One wave of the drill: orders held where the seed says, the fault, and what became of them."""

import signal
import subprocess
import sys
import time
from collections import defaultdict

import psutil

from replica import faults
from tests.drills.operations.judgement import FULFILLED, UNDONE, Tally, judge
from tests.drills.operations.stage import LEASE_SECONDS, ROOT, until

#: A start on two busy cores, four at a time.
HELD_WITHIN_SECONDS = 120
#: Beyond this a case is stuck: a lease, the watch's patience with a run that never began, two starts, an outage.
ENDED_WITHIN_SECONDS = 240
GOOD = {"done", "undone"}


def conduct(stage, wave, chance):
    """Run the cases of *wave* side by side: a tally by fault, and what is to be read where one is not clean."""
    for case in wave:
        stage.tell("arm", case, case.point)
    runs = {case: stage.begin(case.name, out_of_stock=case.out_of_stock) for case in wave}
    wanted = {(case.name, case.point) for case in wave}
    until(lambda: wanted <= stage.held(), HELD_WITHIN_SECONDS, f"{wanted}: runs {list(runs.values())}")
    strike(stage, wave, chance)
    stopped = wait_for_ends(stage, wave)
    tallies, story = defaultdict(Tally), []
    for case in wave:
        found, told = verdict_on(stage, case)
        tallies[case.fault] += found + Tally(stopped_for_a_person=int(case in stopped))
        story += told
    return tallies, story


def strike(stage, wave, chance):
    """The wave's fault, and an end to the holding."""
    fault = wave[0].fault
    victims = {case: stage.process_of(case.name) for case in wave}
    if fault in {"worker", "prefect", "postgres"}:
        faults.kill(stage.replica.state, fault, alone=fault == "worker")
        # Some runs meet the outage, others its end.
        let_go(stage, wave if chance.random() < 0.7 else [])
        time.sleep(chance.uniform(0, LEASE_SECONDS))
        stage.mend()
        let_go(stage, wave)
    elif fault == "both":
        faults.kill(stage.replica.state, "worker")
        kill(victims.values())
        let_go(stage, wave)
        stage.mend()
    elif fault == "watch":
        kill(victims.values())
        let_go(stage, wave)
        # In the midst of taking them up, if the seed wills it.
        time.sleep(chance.uniform(0, LEASE_SECONDS + 4))
        stage.watch.kill()
        time.sleep(chance.uniform(0, 3))
        stage.watch.start()
    else:
        strike_runs(stage, wave, victims)


def strike_runs(stage, wave, victims):
    """Faults that meet one run each."""
    kill(victims[case] for case in wave if case.fault == "flow")
    frozen = [case for case in wave if case.fault == "freeze"]
    for case in frozen:
        victims[case].send_signal(signal.SIGSTOP)
    twins = [(case, stage.begin(case.name)) for case in wave if case.fault == "twice"]
    let_go(stage, [case for case in wave if case.fault != "twice"])
    for case, twin in twins:
        until(lambda twin=twin: stage.run(twin).state.is_running(), HELD_WITHIN_SECONDS, f"second run of {case.name}")
    let_go(stage, [case for case, _ in twins])
    for case in frozen:
        until(lambda case=case: len(stage.attempts(case.name)) > 1, ENDED_WITHIN_SECONDS, f"successor of {case.name}")
        victims[case].send_signal(signal.SIGCONT)
        until(lambda case=case: is_refused(stage, case), HELD_WITHIN_SECONDS, f"refusal of {case.name}, woken")
    for case, twin in twins:
        start_again_when_done(stage, case, twin)


def is_refused(stage, case):
    """Whether the first holder has been told that it is none any more."""
    first = stage.attempts(case.name)[0]
    return first["refused"] > 0 and first["ended"] == "superseded"


def start_again_when_done(stage, case, twin):
    """The second run of the same order, and a third when all is over: neither does anything."""
    until(lambda: stage.operation(case.name)["state"] in GOOD, ENDED_WITHIN_SECONDS, f"end of {case.name}")
    third = stage.begin(case.name)
    for run in (twin, third):
        state = until(lambda run=run: final(stage, run), ENDED_WITHIN_SECONDS, f"end of run {run}")
        assert state.name in {"Skipped", "AlreadyDone"}, f"{case.name}, started again: {state.name} {state.message}"


def final(stage, run):
    state = stage.run(run).state
    return state if state.is_final() else None


def let_go(stage, wave):
    for case in wave:
        stage.tell("release", case, case.point)


def kill(victims):
    victims = list(victims)
    for process in victims:
        if process.is_running():
            process.kill()
    psutil.wait_procs(victims, timeout=10)


def wait_for_ends(stage, wave):
    """Until each order has ended or the time has; the cases that stopped for a person, who has then looked."""
    stopped, end = set(), time.monotonic() + ENDED_WITHIN_SECONDS
    while time.monotonic() < end:
        rows = {case: stage.operation(case.name) for case in wave}
        for case, row in rows.items():
            if case not in stopped and row["state"] == "failed" and (row["error"] or "").startswith("InDoubt"):
                stopped.add(case)
                look_and_resolve(stage, case, row["id"])
        if all(row["state"] in GOOD for row in rows.values()):
            break
        time.sleep(0.5)
    return stopped


def look_and_resolve(stage, case, operation_id):
    """As a person does: look on the other side, and say what was found."""
    arrived = any(each["effect"] == "mail" for each in effects_of(stage, case))
    found = ["--happened"] if arrived else ["--did-not-happen"]
    command = [sys.executable, "-m", "steward.operations", "resolve", str(operation_id), "notify", *found]
    command += ["--because", "looked into the mailbox"]
    done = subprocess.run(
        command, cwd=ROOT, env=stage.watch.environment, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, f"{command[3:]} answered {done.returncode}:\n{done.stdout}{done.stderr}"


def effects_of(stage, case, period="once"):
    return [each for each in stage.effects() if each["case"] == f"{case.name}@{period}"]


def verdict_on(stage, case):
    """The tally of *case*, and its story where that is not clean."""
    effects, row = effects_of(stage, case), stage.operation(case.name)
    tally = judge(effects, UNDONE if case.out_of_stock else FULFILLED)
    tally += Tally(stuck=int(row["state"] != ("undone" if case.out_of_stock else "done")))
    if not tally.faults:
        return tally, []
    attempts = [f"  {each['attempt']} {each['token']} {each['ended']}" for each in stage.attempts(case.name)]
    seen = [f"  {each['at']:.3f} {each['token']} {each['effect']} {each['name']}" for each in effects]
    return tally, [f"{case.name}, {case}: {tally.faults}, {row['state']}: {row['error']}", *attempts, *seen]

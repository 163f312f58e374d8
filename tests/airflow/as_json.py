"""Run by Airflow's Python: what its DagBag reads of the DAG folder, as JSON; and what the operator makes of exit codes.

python as_json.py FOLDER FIRST LAST    the slots between two instants, as Airflow's scheduler computes them
"""

import json
import sys
from datetime import datetime

from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization
from airflow.timetables.base import TimeRestriction


def slots(timetable, first, last):
    """The instants for which runs are made."""
    found, interval = [], None
    while True:
        restriction = TimeRestriction(earliest=first, latest=last, catchup=True)
        info = timetable.next_dagrun_info(last_automated_data_interval=interval, restriction=restriction)
        if info is None:
            return found
        interval = info.data_interval
        found.append(info.run_after.isoformat())


def told(dag, first, last):
    """A DAG as JSON. Its timetable is the one that the scheduler reads from the database."""
    (task,) = dag.tasks
    timetable = DagSerialization.from_dict(DagSerialization.to_dict(dag)).timetable
    return {
        "slots": slots(timetable, first, last),
        "follows": sorted(asset.uri for _, asset in timetable.asset_condition.iter_assets()),
        "makes": sorted(asset.uri for asset in task.outlets),
        "reads": sorted(asset.uri for asset in task.inlets),
        "arguments": task.arguments,
        "asks": sorted(dag.params),
        "retries": task.retries,
        "hours": task.execution_timeout.total_seconds() / 3600,
        "max_active_runs": dag.max_active_runs,
        "catchup": dag.catchup,
        "pushes": task.do_xcom_push,
    }


def meanings(codes):
    """Exit code → the exception's name."""
    from commands import ended

    found = {}
    for code in codes:
        try:
            ended(code)
            found[code] = None
        except Exception as error:
            found[code] = type(error).__name__
    return found


def main():
    folder, *instants = sys.argv[1:]
    sys.path.insert(0, folder)
    first, last = map(datetime.fromisoformat, instants)
    from pendulum import instance

    bag = DagBag(dag_folder=folder)
    from commands import environment

    kept = environment(
        {"AIRFLOW__X": "1", "_AIRFLOW_Y": "1", "PYTHONPATH": "/x", "CORRENTEZA_HOME": "h", "PATH": "/bin"}
    )
    print("JSON" + json.dumps({
        "errors": bag.import_errors,
        "dags": {name: told(dag, instance(first), instance(last)) for name, dag in bag.dags.items()},
        "meanings": meanings([0, 1, 2, 3, 4, 75, 99, 143, -9]),
        "environment": kept,
    }))  # fmt: skip


main()

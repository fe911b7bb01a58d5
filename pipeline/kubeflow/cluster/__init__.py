"""Use Kubeflow's API: submit runs, follow them, schedule them.

api.py           calls to the API
submission.py    upload a pipeline, start a run, follow it
run_triggers.py  decide whether a run is needed
schedules.py     recurring runs
cron.py          cron expressions and time zones
cronjob.py       manifests of a CronJob that submits runs
"""

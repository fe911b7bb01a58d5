"""Use Kubeflow's API: submit runs, follow them, schedule them.

api.py             calls to the API
server_version.py  what the server's version allows
submission.py      upload a pipeline, start a run
following.py       follow a run, retry its failed steps
retention.py       remove the files of old runs
run_triggers.py    decide whether a run is needed
schedules.py       recurring runs
cron.py            cron expressions and time zones
cronjob.py         manifests of a CronJob that submits runs
"""

"""Where a version's files lie below its run's artifacts: written by the trainer, checked and read by the server."""

MODEL = "model"  # as MLflow saves it
PIPELINE = f"{MODEL}/sparkml"  # the PipelineModel in it, as Spark saves it
BATON = "baton"
LOCAL = (
    f"{BATON}/pipeline"  # the same in Spark's local format: the server reads it in tenths of a second, without a job
)
MANIFEST = f"{BATON}/manifest.json"  # path -> sha256 of every other file
CONTRACT = f"{BATON}/contract.json"  # what the model reads, and what it was trained on
GOLDEN = f"{BATON}/golden.jsonl"  # a JSON object a line: fields, and the prediction or rejection that they must get
# What requests and predictions are later compared with, for a drift: for live metrics and people, no server reads them.
REQUESTS_BASELINE, PREDICTIONS_BASELINE = "baseline/requests.json", "baseline/predictions.json"

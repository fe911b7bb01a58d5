"""The reference: transfer learning in the style of TFX's CIFAR-10 example.

    python tests/benchmarks/tfx_example_style.py DATA OUTPUT EPOCHS

Transform materialises float32 pixels, and the frozen backbone runs over them in every
epoch. Images, backbone, weights and image size are those of graft's pipeline.
"""

from __future__ import annotations

import os
import sys

import keras
import tensorflow as tf
import tensorflow_transform as tft

SIZE = 224
BATCH = 64
IMAGE, LABEL = "image", "label"


def preprocessing_fn(inputs):
    """Decode, resize and normalise into materialised float32 pixels."""

    def prepare(encoded):
        pixels = tf.io.decode_jpeg(encoded, channels=3)
        return (tf.image.resize(pixels, [SIZE, SIZE], "bicubic") - 127.0) / 128.0

    pixels = tf.map_fn(
        prepare,
        tf.reshape(inputs[IMAGE], [-1]),
        fn_output_signature=tf.TensorSpec([SIZE, SIZE, 3], tf.float32),
    )
    return {IMAGE: pixels, LABEL: inputs[LABEL]}


def run_fn(fn_args):
    """Train a head with the frozen backbone in the loop."""
    from graft.trainer.backbones.backbone import build_backbone
    from graft.trainer.config import ModelConfig

    output = tft.TFTransformOutput(fn_args.transform_graph_path)
    spec = output.transformed_feature_spec()

    def dataset(patterns):
        files = [name for pattern in patterns for name in tf.io.gfile.glob(pattern)]
        return (
            tf.data.TFRecordDataset(files, compression_type="GZIP")
            .batch(BATCH)
            .map(lambda batch: tf.io.parse_example(batch, spec))
            .map(lambda batch: (batch[IMAGE], tf.reshape(batch[LABEL], [-1])))
            .prefetch(tf.data.AUTOTUNE)
        )

    backbone = build_backbone(ModelConfig(cut="top_activation"))
    inputs = keras.Input((SIZE, SIZE, 3))
    model = keras.Model(
        inputs, keras.layers.Dense(10)(backbone(inputs, training=False))
    )
    model.compile(
        "adam",
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(
        dataset(fn_args.train_files),
        validation_data=dataset(fn_args.eval_files),
        epochs=fn_args.custom_config["epochs"],
        verbose=2,
    )
    layer = output.transform_features_layer()

    class Served(tf.Module):
        def __init__(self):
            self.layer = layer
            self.tracked = [variable.value for variable in model.variables]

        @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
        def serve(self, examples):
            raw = tf.io.parse_example(
                examples,
                {
                    IMAGE: tf.io.FixedLenFeature([1], tf.string),
                    LABEL: tf.io.FixedLenFeature([1], tf.int64),
                },
            )
            return {"logits": model(layer(raw)[IMAGE], training=False)}

    served = Served()
    tf.saved_model.save(
        served, fn_args.serving_model_dir, {"serving_default": served.serve}
    )


def write_records(data: str, folder: str) -> None:
    """Write the class folders below `data` as TFRecord, as the reader wants."""
    os.makedirs(folder)
    names = sorted(os.listdir(data))
    with tf.io.TFRecordWriter(
        os.path.join(folder, "data.tfrecord.gz"), tf.io.TFRecordOptions("GZIP")
    ) as writer:
        rows = [
            (os.path.join(data, name, file), label)
            for label, name in enumerate(names)
            for file in sorted(os.listdir(os.path.join(data, name)))
        ]
        for path, label in rows:
            example = tf.train.Example()
            with open(path, "rb") as file:
                feature = example.features.feature
                feature[IMAGE].bytes_list.value.append(file.read())
                feature[LABEL].int64_list.value.append(label)
            writer.write(example.SerializeToString())


def main(data: str, output: str, epochs: int) -> None:
    """Run the pipeline on class folders of JPEG files.

    It is long, as in the example: the whole pipeline in one function.
    """
    from tfx import v1 as tfx
    from tfx.proto import example_gen_pb2, pusher_pb2, trainer_pb2

    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
    records = os.path.join(output, "records")
    write_records(data, records)
    examples = tfx.components.ImportExampleGen(
        input_base=records,
        output_config=example_gen_pb2.Output(
            split_config=example_gen_pb2.SplitConfig(
                splits=[
                    example_gen_pb2.SplitConfig.Split(name="train", hash_buckets=8),
                    example_gen_pb2.SplitConfig.Split(name="eval", hash_buckets=2),
                ]
            )
        ),
    )
    statistics = tfx.components.StatisticsGen(examples=examples.outputs["examples"])
    schema = tfx.components.SchemaGen(
        statistics=statistics.outputs["statistics"], infer_feature_shape=True
    )
    validator = tfx.components.ExampleValidator(
        statistics=statistics.outputs["statistics"], schema=schema.outputs["schema"]
    )
    transform = tfx.components.Transform(
        examples=examples.outputs["examples"],
        schema=schema.outputs["schema"],
        preprocessing_fn="tfx_example_style.preprocessing_fn",
    )
    trainer = tfx.components.Trainer(
        run_fn="tfx_example_style.run_fn",
        examples=transform.outputs["transformed_examples"],
        transform_graph=transform.outputs["transform_graph"],
        schema=schema.outputs["schema"],
        train_args=trainer_pb2.TrainArgs(),
        eval_args=trainer_pb2.EvalArgs(),
        custom_config={"epochs": epochs},
    )
    pusher = tfx.components.Pusher(
        model=trainer.outputs["model"],
        push_destination=pusher_pb2.PushDestination(
            filesystem=pusher_pb2.PushDestination.Filesystem(
                base_directory=os.path.join(output, "serving")
            )
        ),
    )
    tfx.orchestration.LocalDagRunner().run(
        tfx.dsl.Pipeline(
            pipeline_name="example-style",
            pipeline_root=os.path.join(output, "root"),
            components=[
                examples,
                statistics,
                schema,
                validator,
                transform,
                trainer,
                pusher,
            ],
            metadata_connection_config=(
                tfx.orchestration.metadata.sqlite_metadata_connection_config(
                    os.path.join(output, "metadata.sqlite")
                )
            ),
        )
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))

#!/usr/bin/env python
"""The peer that vs_trainer.py measures: transformers.Trainer on the same folder, weights, seed and epochs.

Its recipe is the usual one: AdamW at a linearly falling rate, weight decay 0.01, batches of 16 padded to their longest
text, gradient norm clipped at 1, dropout in every layer. Prints one JSON object, last.
"""

import argparse
import json
import os
import tempfile
import time

os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["TOKENIZERS_PARALLELISM"] = "false"

import torch
from datasets import load_dataset
from sklearn.metrics import accuracy_score, f1_score
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
    set_seed,
)


def options() -> argparse.Namespace:
    cli = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    cli.add_argument("--model", required=True, help="a model folder")
    cli.add_argument("--data", required=True, help="a folder with train.parquet and test.parquet: text, label")
    cli.add_argument("--freeze", default="none", help="none, head, or topN")
    cli.add_argument("--epochs", type=int, default=1)
    cli.add_argument("--seed", type=int, default=42)
    cli.add_argument("--lr", type=float, default=2e-5)
    cli.add_argument("--group-by-length", action="store_true", help="Trainer's own batches of like length")
    cli.add_argument("--bf16", action="store_true")
    cli.add_argument("--compile", action="store_true")
    return cli.parse_args()


def freeze(model: torch.nn.Module, depth: str) -> None:
    """By hand, as Trainer's users do: a BERT's head, or its last N layers, pooler and head, stay trainable."""
    if depth == "none":
        return
    kept = ["classifier."]
    if depth != "head":
        first = model.config.num_hidden_layers - int(depth.removeprefix("top"))
        kept += ["bert.pooler."]
        kept += [f"bert.encoder.layer.{i}." for i in range(first, model.config.num_hidden_layers)]
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith(tuple(kept)))


def main() -> None:
    args = options()
    splits = load_dataset("parquet", data_files={s: f"{args.data}/{s}.parquet" for s in ("train", "test")})
    labels = len(set(splits["train"]["label"]))
    set_seed(args.seed)
    tokenizer = AutoTokenizer.from_pretrained(args.model)
    model = AutoModelForSequenceClassification.from_pretrained(args.model, num_labels=labels, dtype=torch.float32)
    freeze(model, args.freeze)
    tokens = splits.map(lambda rows: tokenizer(rows["text"], truncation=True), batched=True)

    def score(found):
        guess = found.predictions.argmax(-1)
        average = "binary" if labels == 2 else "weighted"
        return {
            "f1": f1_score(found.label_ids, guess, average=average),
            "accuracy": accuracy_score(found.label_ids, guess),
        }

    with tempfile.TemporaryDirectory() as folder:
        trainer = Trainer(
            model=model,
            args=TrainingArguments(
                folder,
                seed=args.seed,
                num_train_epochs=args.epochs,
                learning_rate=args.lr,
                weight_decay=0.01,
                per_device_train_batch_size=16,
                per_device_eval_batch_size=16,
                train_sampling_strategy="group_by_length" if args.group_by_length else "random",
                bf16=args.bf16,
                torch_compile=args.compile,
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
            ),
            train_dataset=tokens["train"],
            eval_dataset=tokens["test"],
            data_collator=DataCollatorWithPadding(tokenizer),
            compute_metrics=score,
        )
        began = time.perf_counter()
        trainer.train()
        seconds = time.perf_counter() - began
        scores = trainer.evaluate()
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    print(
        json.dumps(
            {
                "fit_seconds": seconds,
                "test/f1": scores["eval_f1"],
                "test/accuracy": scores["eval_accuracy"],
                "trainable": trainable,
            }
        )
    )


if __name__ == "__main__":
    main()

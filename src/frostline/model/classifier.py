"""The LightningModule: an encoder with a classification head, its loss, its metrics and its optimizer."""

import math
import time
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from pytorch_lightning import LightningModule
from torch.optim import AdamW
from torchmetrics import MeanMetric, MetricCollection
from torchmetrics.classification import (
    BinaryF1Score,
    MulticlassAccuracy,
    MulticlassConfusionMatrix,
    MulticlassF1Score,
)
from transformers import PreTrainedModel

from frostline.errors import InputError
from frostline.model.inputs import encoder_inputs
from frostline.model.optim import LinearDecayAdamW, Part, clip_within_step


def quality(labels: int, prefix: str) -> MetricCollection:
    """F1 (of label 1 with two labels, weighted with more), macro F1 and accuracy, on predicted indices."""
    return MetricCollection(
        {
            "f1": BinaryF1Score() if labels == 2 else MulticlassF1Score(labels, average="weighted"),
            "f1_macro": MulticlassF1Score(labels, average="macro"),
            "accuracy": MulticlassAccuracy(labels, average="micro"),
        },
        prefix=prefix,
    )


class Classifier(LightningModule):
    """Trains `network`, a `transformers` sequence classifier, with cross-entropy.

    Batches are dictionaries: `input_ids`, `attention_mask` (batch, length), `labels`, `index` (batch,). Where they have
    `kept`, `rest` makes logits of it, the mask and maybe the ids: the part of `network` that trains. `parts` gives
    the network's, for a rate of their own, once training begins; without it all parameters have one. `fast_step` stands
    in for `loss` in training where it is set, and may take the step at once. After testing,
    `test_logits` (texts, labels) and `test_labels` (texts,) are in the data set's order, and `test_confusion` (labels,
    labels) has a row for each true label.
    """

    def __init__(
        self,
        network: PreTrainedModel,
        optimizer: LinearDecayAdamW,
        rest: Callable[..., torch.Tensor] | None = None,
        parts: Callable[[], Sequence[Part]] | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.rest = rest
        self.recipe = optimizer
        self.parts = parts or (lambda: [Part(list(network.parameters()))])
        self.fast_step: Callable[[dict[str, torch.Tensor]], torch.Tensor] | None = None
        labels = network.config.num_labels
        self.val_quality = quality(labels, "val/")
        self.test_quality = quality(labels, "test/")
        self.mean_loss = MeanMetric()
        self.confusion = MulticlassConfusionMatrix(labels)
        self.test_logits = torch.empty(0, labels)
        self.test_labels = torch.empty(0, dtype=torch.long)
        self.test_confusion = torch.zeros(labels, labels, dtype=torch.long)
        self.trained_texts = 0
        self.trained_tokens: int | torch.Tensor = 0
        self.validated_step: int | None = None
        self.history: list[dict[str, float]] = []
        self._first_bad_step = torch.tensor(-1)
        self._outputs: list[tuple[torch.Tensor, ...]] = []
        self._logged: tuple[float, int] | None = None

    def forward(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """Logits of shape (batch, labels), in fp32."""
        if "kept" in batch:
            return self.rest(batch["kept"].float(), **encoder_inputs(batch)).float()
        return self.network(**encoder_inputs(batch)).logits.float()

    def loss(self, batch: dict[str, torch.Tensor]) -> torch.Tensor:
        """The mean cross-entropy of a batch, a scalar."""
        return F.cross_entropy(self(batch), batch["labels"])

    # Training

    def on_train_epoch_start(self) -> None:
        self._logged = None

    def training_step(self, batch: dict[str, torch.Tensor], step: int) -> torch.Tensor:
        loss = (self.fast_step or self.loss)(batch)
        self.trained_texts += len(batch["labels"])
        self.trained_tokens += batch["attention_mask"].sum()
        self._watch(loss)
        if self.trainer.global_step % self.trainer.log_every_n_steps == 0:
            self._log_progress(loss.item())
        return loss

    def _watch(self, loss: torch.Tensor) -> None:
        """InputError at the first step whose loss is no number.

        A GPU is asked every so often and before each checkpoint only: to ask is to wait for it.
        """
        step = self.trainer.global_step
        if loss.device.type == "cpu":
            self._refuse_bad_loss(step if not math.isfinite(loss.item()) else None)
            return
        first = self._first_bad_step.to(loss.device)
        self._first_bad_step = torch.where((first < 0) & ~loss.detach().isfinite(), step, first)
        if step % self.trainer.log_every_n_steps == 0:
            self._refuse_bad_loss(self._bad_step())

    def _bad_step(self) -> int | None:
        return None if (step := int(self._first_bad_step)) < 0 else step

    def _refuse_bad_loss(self, step: int | None) -> None:
        if step is not None:
            raise InputError(
                f"the loss is no finite number at step {step}: lower optimizer.lr (it is {self.recipe.lr})"
            )

    def _log_progress(self, value: float) -> None:
        """Loss, learning rate and texts per second since the last time."""
        now = time.perf_counter()
        size = 1  # these values are one number a step, not means over texts
        rate = max(group["lr"] for group in self.trainer.optimizers[0].param_groups)
        self.log("train/loss", value, prog_bar=True, batch_size=size)
        self.log("train/lr", rate, batch_size=size)
        if self._logged is not None:
            then, texts = self._logged
            speed = (self.trained_texts - texts) / (now - then)
            self.log("train/samples_per_second", speed, prog_bar=True, batch_size=size)
        self._logged = (now, self.trained_texts)

    def configure_optimizers(self) -> dict:
        optimizer = self.recipe.optimizer(self.parts(), fused=self._step_may_clip())
        steps = int(self.trainer.estimated_stepping_batches)
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": self.recipe.schedule(optimizer, steps), "interval": "step"},
        }

    def backward(self, loss: torch.Tensor, *args: object, **options: object) -> None:
        """Lightning's, unless `fast_step` has done it."""
        if loss.requires_grad:
            super().backward(loss, *args, **options)

    def configure_gradient_clipping(
        self,
        optimizer: AdamW,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Lightning's, or in a fused step within that itself, for memory bounds it."""
        if not optimizer.defaults["fused"]:
            self.clip_gradients(optimizer, gradient_clip_val, gradient_clip_algorithm)
        elif gradient_clip_val:
            clip_within_step(optimizer, gradient_clip_val)

    def _step_may_clip(self) -> bool:
        """Whether the norm is what is clipped, and no GradScaler has the step's `grad_scale` for itself."""
        by = self.trainer.gradient_clip_algorithm
        return by in (None, "norm") and self.trainer.precision != "16-mixed"

    def optimizer_step(self, epoch: int, batch: int, optimizer: AdamW, closure: Callable | None = None) -> None:
        """Lightning's, and then no gradients: it would keep them through the next forward pass."""
        super().optimizer_step(epoch, batch, optimizer, closure)
        optimizer.zero_grad(set_to_none=True)

    def on_fit_end(self) -> None:
        self.fast_step = None  # and the memory that it holds

    # Evaluation

    def validation_step(self, batch: dict[str, torch.Tensor], step: int) -> None:
        self._evaluate(batch, self.val_quality)

    def on_validation_epoch_end(self) -> None:
        self._log_quality(self.val_quality, "val/loss")
        self.validated_step = self.trainer.global_step

    def on_validation_end(self) -> None:
        place = {"epoch": self.trainer.current_epoch + 1, "step": self.trainer.global_step}
        self.history.append({**place, **{name: value.item() for name, value in self._validation().items()}})

    def _validation(self) -> dict[str, torch.Tensor]:
        return {name: value for name, value in self.trainer.callback_metrics.items() if name.startswith("val/")}

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        self._refuse_bad_loss(self._bad_step())
        checkpoint["validation"] = self._validation()
        checkpoint["progress"] = {
            "trained_texts": self.trained_texts,
            "trained_tokens": int(self.trained_tokens),
            "validated_step": self.validated_step,
            "history": self.history,
        }

    def on_load_checkpoint(self, checkpoint: dict) -> None:
        for name, value in checkpoint.get("progress", {}).items():
            setattr(self, name, value)

    def test_step(self, batch: dict[str, torch.Tensor], step: int) -> None:
        logits = self._evaluate(batch, self.test_quality)
        self.confusion.update(logits.argmax(-1), batch["labels"])
        self._outputs.append((batch["index"].cpu(), logits.cpu(), batch["labels"].cpu()))

    def on_test_epoch_end(self) -> None:
        self._log_quality(self.test_quality, "test/loss")
        outputs = self._of_all_ranks(self._outputs)
        index, logits, labels = (torch.cat(parts) for parts in zip(*outputs, strict=True))
        self._outputs.clear()
        self.test_confusion = self.confusion.compute().cpu()
        order = index.argsort()
        self.test_logits, self.test_labels = logits[order], labels[order]

    def _evaluate(self, batch: dict[str, torch.Tensor], metrics: MetricCollection) -> torch.Tensor:
        logits = self(batch)
        self.mean_loss.update(F.cross_entropy(logits, batch["labels"]), len(batch["labels"]))
        metrics.update(logits.argmax(-1), batch["labels"])
        return logits

    def _log_quality(self, metrics: MetricCollection, loss: str) -> None:
        """The metrics over all texts, on every device alike; the next evaluation counts from zero."""
        self.log_dict({**metrics.compute(), loss: self.mean_loss.compute()}, prog_bar=True)
        metrics.reset(), self.mean_loss.reset()

    def _of_all_ranks(self, parts: list) -> list:
        """The parts that each process has, together."""
        if self.trainer.world_size == 1:
            return parts
        gathered: list[list] = [[] for _ in range(self.trainer.world_size)]
        torch.distributed.all_gather_object(gathered, parts)
        return [part for found in gathered for part in found]

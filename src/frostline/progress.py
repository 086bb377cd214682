"""The progress bar of training and testing."""

import pytorch_lightning as pl
from pytorch_lightning.callbacks import RichProgressBar

SHORT = {"train/loss": "loss", "train/samples_per_second": "texts/s", "val/f1": "val F1"}


class LossAndSpeed(RichProgressBar):
    """Lightning's Rich bar with three short figures: loss, texts per second, validation F1."""

    def get_metrics(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> dict[str, str]:
        """The figures behind the bar, as text."""
        found = super().get_metrics(trainer, pl_module)
        style = {"texts/s": ".0f"}
        return {
            short: format(float(found[name]), style.get(short, ".3f")) for name, short in SHORT.items() if name in found
        }

    def _get_train_description(self, current_epoch: int) -> str:
        return f"Epoch {current_epoch + 1}/{self.trainer.max_epochs}".ljust(len(self.validation_description))

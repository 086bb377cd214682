"""How deep should a pretrained encoder be frozen when it is fine-tuned for text classification?"""

__version__ = "0.1.0"

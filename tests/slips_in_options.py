"""Slips in options: numbers out of range, words for numbers, options that contradict each other, folders."""

from slips import CSV, Slip

SLIPS = {
    # freeze
    "freeze.n above the layers": Slip("freeze=top freeze.n=4", ("freeze.n=4", "has 3 layers", "use 0 to 3")),
    "freeze.n negative": Slip("freeze=top freeze.n=-1", ("freeze.n=-1", "use 0 to 3")),
    "freeze.n a word": Slip("freeze=top freeze.n=two", ("freeze.n=two", "use 0 to 3")),
    "top4 of three layers": Slip("freeze=top4", ("freeze.n=4", "has 3 layers")),
    "pattern without a match": Slip("freeze=pattern freeze.train=[pooller]", ("freeze.train", "'pooller'", "matches")),
    "pattern not a regex": Slip("freeze=pattern 'freeze.train=[\"layer(\"]'", ("'layer('", "regular expression")),
    "pattern not given": Slip("freeze=pattern", ("freeze.train",)),
    "freeze.n not given": Slip("freeze=top", ("freeze.n",)),
    # numbers out of range
    "max_length too large": Slip("data.max_length=512", ("data.max_length=512", "3 to 128", "null")),
    "max_length without room for a word": Slip("data.max_length=2", ("data.max_length=2", "3 to 128")),
    "validation unknown": Slip("data.validation=oops", ("data.validation=oops", "use auto, or test")),
    "validation on a test split that is not": Slip(
        "data.path={here} data.validation=test test=false",
        ("data.validation=test", "no test split"),
        {"train.csv": CSV},
    ),
    "validation_fraction above one": Slip(
        "data.validation_fraction=2", ("data.validation_fraction=2", "between 0 and 1")
    ),
    "lr negative": Slip("optimizer.lr=-1e-3", ("optimizer.lr=-0.001", "above 0")),
    "lr nan": Slip("optimizer.lr=nan", ("optimizer.lr=nan", "above 0")),
    "batch_size null": Slip("data.batch_size=null", ("data.batch_size=null", "a whole number from 1 to 100,000")),
    "a number in quotes": Slip("data.batch_size='\"16\"'", ("data.batch_size=16", "a whole number")),
    "a number with a comma": Slip("'optimizer.lr=\"2,5e-5\"'", ("optimizer.lr=2,5e-5", "such as 2e-5")),
    "no devices": Slip("trainer.devices=0", ("trainer.devices=0", "1 or more")),
    "devices a word": Slip("trainer.devices=many", ("trainer.devices=many", "1 or more, a list of them, or auto")),
    "checkpoint to resume missing": Slip("resume={here}/no.ckpt", ("resume=", "no.ckpt", "checkpoint")),
    # options that contradict each other
    "no end": Slip(
        "trainer.max_epochs=-1", ("trainer.max_epochs=-1 and trainer.max_steps=-1 never end", "give one of them")
    ),
    "an unknown accelerator": Slip("trainer.accelerator=abacus", ("trainer.accelerator=abacus", "auto, cpu")),
    "CUDA graphs on a CPU": Slip(
        "trainer=cpu trainer.cuda_graphs=true", ("trainer.cuda_graphs=true", "not on a GPU", "use auto, or false")
    ),
    "CUDA graphs as a word": Slip("trainer.cuda_graphs=banana", ("trainer.cuda_graphs=banana", "auto, true or false")),
    "padded lengths as a word": Slip(
        "data.padded_lengths=banana", ("data.padded_lengths=banana", "from 1 to 1,024, or auto, or null for no limit")
    ),
    "an unknown precision": Slip("trainer.precision=banana", ("trainer.", "banana", "Allowed precision")),
    "no checkpoints": Slip("+trainer.enable_checkpointing=false", ("trainer.enable_checkpointing", "leave it out")),
    "no validation": Slip("+trainer.limit_val_batches=0", ("trainer.limit_val_batches", "leave it out")),
    "a logger twice": Slip("+trainer.logger=false", ("trainer.logger", "leave it out")),
    "an option that the Trainer lacks": Slip(
        "+trainer.learning_rate=1", ("trainer", "learning_rate", "Lightning's Trainer")
    ),
    "an option that the data lacks": Slip("+data.shuffle=true", ("data.shuffle is no option of data", "leave it out")),
    "an option that the model lacks": Slip("+model.token=abcdefgh", ("model.token is no option of model",)),
    "a device named twice": Slip("trainer.devices=[0,0]", ("trainer.devices=[0, 0]", "once")),
    "a million devices": Slip(
        "trainer.devices=1000000", ("trainer.devices=1000000, but this machine has room for", "or fewer")
    ),
    "fewer texts in a batch than devices": Slip(
        "trainer=cpu trainer.devices=2 data.batch_size=1", ("too few for 2 devices", "data.batch_size")
    ),
    "the demo's texts by name": Slip(
        "data=demo_reviews data.validation=auto data.path=null", ("data.validation=auto", "number of texts")
    ),
    "text of a demo's size": Slip("data.validation=300", ("data.validation=300", "use auto, or test")),
    "everything longer than the encoder": Slip("data.max_length=129", ("data.max_length=129", "3 to 128")),
    "kernels unknown": Slip("kernels=fast", ("kernels=fast", "auto, torch, amd")),
    "a trunk of an unknown kind": Slip("trunk.dtype=int8 freeze=head", ("trunk.dtype=int8", "fp16, fp32")),
    "a budget without a size": Slip(
        "trunk.budget=-5GB freeze=head", ("trunk.budget=-5GB", "such as trunk.budget=10GB")
    ),
    "nothing to train": Slip("freeze=pattern freeze.train=[]", ("freeze.train", "regular expressions")),
    "a dry run of a sweeper that chooses as it goes": Slip(
        "-m sweeper=optuna sweep.dry_run=true optimizer.lr=interval(1e-5,1e-3)",
        ("sweep.dry_run=true", "sweeper=basic"),
        recorded=False,
    ),
    # folders
    "a folder that may not be written": Slip(
        "hydra.run.dir={here}/sub/run",
        ("hydra.run.dir=", "cannot be written (Permission denied)", "choose another"),
        {"sub/a": ""},
        locked=("sub",),
        recorded=False,
    ),
    "a run folder that may not be written": Slip(
        "hydra.run.dir={here}/sub",
        ("hydra.run.dir=", "Permission denied"),
        {"sub/a": ""},
        locked=("sub",),
        recorded=False,
    ),
    "a file for a run folder": Slip(
        "hydra.run.dir={here}/a", ("hydra.run.dir=", "cannot be written (Not a directory)"), {"a": "b"}, recorded=False
    ),
    "a run folder below a file": Slip(
        "hydra.run.dir={here}/a/run", ("hydra.run.dir=", "Not a directory"), {"a": "b"}, recorded=False
    ),
    "a sweep's folder that may not be written": Slip(
        "-m hydra.sweep.dir={here}/sub/sweep freeze=head,none",
        ("hydra.sweep.dir=", "Permission denied"),
        {"sub/a": ""},
        locked=("sub",),
        recorded=False,
    ),
    "a trunk folder that may not be written": Slip(
        "trunk.dir={here}/sub/trunk freeze=head",
        ("trunk.dir=", "cannot be written (Permission denied)"),
        {"sub/a": ""},
        locked=("sub",),
    ),
    "a cell outside of the sweep": Slip(
        "-m hydra.sweep.subdir=../../x freeze=head,none",
        ("hydra.sweep.subdir", "outside of the sweep's folder", "without .."),
        recorded=False,
    ),
    "a cell anywhere": Slip(
        "-m hydra.sweep.subdir={here}/x freeze=head,none", ("hydra.sweep.subdir", "outside"), recorded=False
    ),
    "a cell that is the sweep": Slip(
        "-m hydra.sweep.subdir=. freeze=head,none", ("hydra.sweep.subdir", "outside"), recorded=False
    ),
    "a cell led out by an option": Slip(
        "-m hydra.sweep.subdir='${{data.label_column}}' data.label_column=../x,../y",
        ("hydra.sweep.subdir", "outside"),
        recorded=False,
    ),
    "a sweep over a secret": Slip(
        "-m +my.token=abcdefgh,ijklmnop", ("my.token is a secret", "give one value"), recorded=False
    ),
}

# One wrong number for each rule of `frostline.options`, given with what makes the option count.
WITH = {
    "freeze.every": "freeze=gradual", "freeze.start": "freeze=progressive", "freeze.percentile": "freeze=auto",
    "freeze.checks": "freeze=auto", "freeze.r": "freeze=lora", "freeze.alpha": "freeze=lora",
    "freeze.dropout": "freeze=lora",
    "data.train": "data=demo_reviews data.path=null", "data.validation": "data=demo_reviews data.path=null",
    "data.test": "data=demo_reviews data.path=null", "data.text_seed": "data=demo_reviews data.path=null",
    "model.trust_remote_code": "model=minilm", "callbacks.progress_bar.refresh_rate": "callbacks=default",
    "hydra.launcher.n_jobs": "-m launcher=joblib", "hydra.launcher.timeout_min": "-m launcher=submitit_local",
    "hydra.launcher.nodes": "-m launcher=submitit_local", "hydra.launcher.tasks_per_node": "-m launcher=submitit_local",
    "hydra.launcher.cpus_per_task": "-m launcher=submitit_local",
    **{
        f"hydra.launcher.{name}": "-m launcher=submitit_slurm"
        for name in ("gpus_per_node", "mem_gb", "array_parallelism", "signal_delay_s", "max_num_timeout")
    },
    "hydra.launcher.ray.remote.num_cpus": "-m launcher=ray", "hydra.launcher.ray.remote.num_gpus": "-m launcher=ray",
    "hydra.sweeper.n_trials": "-m sweeper=optuna", "hydra.sweeper.n_jobs": "-m sweeper=optuna",
    "hydra.sweeper.max_failure_rate": "-m sweeper=optuna", "hydra.sweeper.max_batch_size": "-m",
    "sweep.dry_run": "", "sweep.fail_fast": "",
}  # fmt: skip

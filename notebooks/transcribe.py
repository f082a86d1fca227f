# %% [markdown]
# # Transcribe with a free GPU
#
# 1. At home: `sessionscribe bundle my-session`, and put `bundles/my-session.work.zip` into the folder
#    `sessionscribe` of your Google Drive. (A recording will do, too.)
# 2. Here: *Runtime*, *Change runtime type*, a GPU; then *Runtime*, *Run all*. You may close the laptop.
# 3. Later, at home: `sessionscribe import` that folder. Every chunk that was finished is there, even if the
#    machine was taken away in between: then run all again, here or anywhere, and the work goes on.
#
# On Kaggle add the bundle as a dataset; results are the notebook's output.
# [Guide and troubleshooting](https://github.com/sessionscribe/sessionscribe/blob/main/docs/runners/notebook.md)

# %% tags=["parameters"]
# @title What to do { display-mode: "form" }
drive_folder = "MyDrive/sessionscribe"  # @param {type: "string"}
sessions = "*"  # @param {type: "string"}
model = ""  # @param ["", "large-v3-turbo", "large-v3", "small", "base"] {allow-input: true}
stop_after = ""  # @param ["", "transcribe", "diarize", "export"]
save_minutes = 10  # @param {type: "number"}
hours = 12  # @param {type: "number"}
require_gpu = True  # @param {type: "boolean"}
release_when_done = True  # @param {type: "boolean"}
ask_for_token = False  # @param {type: "boolean"}

# %%
# @title How it is done { display-mode: "form" }
repository = "https://github.com/sessionscribe/sessionscribe"  # @param {type: "string"}
version = "main"  # @param {type: "string"}
profile = "notebook"  # @param {type: "string"}
python = ""  # @param {type: "string"}
patience_s = 600  # @param {type: "number"}
mailbox = ""  # @param {type: "string"}

# %%
# @title Get the program
import subprocess
import sys
from pathlib import Path

project = Path("/tmp" if Path("/kaggle").is_dir() else "").absolute() / "sessionscribe"
if not (project / "Snakefile").exists():
    subprocess.run(["git", "clone", "-q", "--depth=1", "-b", version, repository, str(project)], check=True)
sys.path.insert(0, str(project / "scripts"))

# %%
# @title Look at the machine
from sessionscribe.notebook import NotebookSession

options = {"hours": hours, "save_minutes": save_minutes, "python": python, "patience_s": patience_s}
session = NotebookSession(project, drive_folder, mailbox=mailbox, **options)
session.check_gpu(required=require_gpu)

# %%
# @title Install (nothing goes into this notebook's own Python)
session.install()

# %%
# @title Mount Drive, read secrets
session.mount()
session.unlock(ask=ask_for_token)

# %%
# @title Take what is in the folder: this is how work goes on
session.restore(sessions)

# %%
# @title Work, and save
session.run(stage=stop_after, model=model, profile=profile)

# %%
# @title Results
session.finish(release=release_when_done)

"""Anfinsen as a Gradio page, such as a Hugging Face Space shows: paste proteins, read the report, take the tables.

    pip install anfinsen gradio && python examples/space/app.py

It calls the same rooms as `anfinsen predict`; the report is the file that the verb writes, shown in a frame of its own.
"""

import tempfile
from html import escape
from itertools import islice
from pathlib import Path

import gradio

import anfinsen
from anfinsen.errors import AnfinsenError
from anfinsen.inference.jobs import run_job
from anfinsen.reading.readers import read_examples
from anfinsen.report.folder import write_folder

EXAMPLE = """>hen egg-white lysozyme
KVFGRCELAAAMKRHGLDNYRGYSLGNWVCAAKFESNFNTQATNRNTDGSTDYGILQINSRWWCNDGRTPGSRNLCNIPC
SALLSSDITASVNCAKKIVSDGNGMNAWVAWRNRCKGTDVQAWIRGCRL"""
MOST = 20
"""Proteins that are answered at once on a machine that many share."""
PREDICTOR = anfinsen.load()


def answer(text: str) -> tuple[str, list[str]]:
    """The report as a frame, and the files that belong to it."""
    folder = Path(tempfile.mkdtemp(prefix="anfinsen-"))
    pasted = folder / "pasted.fasta"
    pasted.write_text(text, encoding="utf-8")
    try:
        result = run_job(islice(read_examples(str(pasted)), MOST), PREDICTOR, folder)
        write_folder(folder, result, PREDICTOR)
    except AnfinsenError as error:
        raise gradio.Error(str(error).replace(f"{folder}/", ""), duration=None) from None
    page = escape((folder / "report.html").read_text(encoding="utf-8"), quote=True)
    frame = f'<iframe title="Report" sandbox srcdoc="{page}" style="width:100%;height:75vh;border:0"></iframe>'
    files = [folder / name for name in ("report.html", "predictions.csv", "predictions.jsonl", "refused.csv")]
    return frame, [str(file) for file in files if file.is_file()]


with gradio.Blocks(title="Anfinsen") as page:
    gradio.Markdown(
        f"# Anfinsen\nPaste up to {MOST} proteins (FASTA, or a bare sequence). Every answer says how sure it is, and "
        "whether the protein is far from what the model has learnt from. Do not paste what must stay secret here: "
        "`pip install anfinsen` answers on your own machine without a network."
    )
    proteins = gradio.Textbox(EXAMPLE, lines=6, label="Proteins")
    button = gradio.Button("Analyse", variant="primary")
    report, files = gradio.HTML(label="Report"), gradio.Files(label="Files")
    button.click(answer, proteins, [report, files], api_name="predict")

if __name__ == "__main__":
    page.launch(server_name="0.0.0.0", server_port=7860)

"""Every default limit of the platform, in one place, each with the reason in its help text.

A limit is told in words before it stops anything; `anfinsen limits` and `GET /limits` print this class.
Nothing here knows how a limit is enforced: readers, predictor, folder and server ask for the number.
"""

from __future__ import annotations

from anfinsen.config import Config


class Limits(Config):
    """The largest inputs that are answered, and the time and memory that one answer may take."""

    header_bytes: int = 1_024
    """Bytes of a record's name and description; longer headers are damaged files or attacks."""
    min_residues: int = 10
    """Residues of the shortest chain that is answered; shorter peptides are outside every model's training."""
    max_residues: int = 100_000
    """Residues of the longest chain that is answered, in overlapping windows; titin has 34,350."""
    nucleotides: int = 20_000_000
    """Letters of the longest DNA or RNA in which genes are looked for; most genomes of bacteria have fewer."""
    window_residues: int = 5_000
    """Residues that go through the language model at once; a longer chain is cut into overlapping windows."""
    fold_residues_gpu: int = 1_024
    """Residues of the longest chain that is folded on an accelerator with 16 GB; memory grows as the square."""
    fold_residues_cpu: int = 400
    """Residues of the longest chain that is folded without an accelerator."""
    unknown_share: float = 0.25
    """Share of unknown residues (X) above which an answer carries a warning and folding is refused."""
    unknown_run: int = 50
    """Unknown residues (X) in a row above which folding is refused."""

    records: int = 1_000_000
    """Records of one file or rows of one table."""
    library_records: int = 50_000_000
    """Molecules of one library; they stream, so only time limits them."""
    table_columns: int = 200
    """Columns of one table."""
    cell_bytes: int = 65_536
    """Bytes of one table cell that does not hold a sequence."""
    atoms: int = 200_000
    """Atoms of one structure file."""
    smiles_characters: int = 2_000
    """Characters of one SMILES string (the written formula of a small molecule)."""
    heavy_atoms: int = 150
    """Atoms of one drug, hydrogens not counted; larger ones can end the process that reads them."""

    request_bytes: int = 10_000_000
    """Bytes of one request to the server."""
    request_records: int = 5_000
    """Records in one request to the server."""
    request_residues: int = 200_000
    """Residues in one request to the server; an answer to every question takes about a kilobyte a residue."""
    request_seconds: int = 60
    """Seconds in which the whole body of a request must have come."""
    direct_residues: int = 10_000
    """Residues that are answered while the asker waits; more is asked as a job."""
    direct_seconds: int = 30
    """Seconds for which an asker is kept waiting; then the question goes on as a job with an address."""
    look_residues: int = 2_000
    """Residues of a protein that is looked at closely while you wait: its mutations, its reasons, its drugs."""
    look_seconds: int = 120
    """Seconds that one closer look may take."""
    look_drugs: int = 50
    """Molecules that are answered while you wait."""
    look_library: int = 2_000
    """Molecules of a library that is ranked while you wait; `anfinsen screen` has no such limit."""
    trainings: int = 1
    """Trainings that the server runs at the same time; each takes all cores."""
    connections: int = 200
    """Connections that the server holds at the same time."""
    upload_bytes: int = 200_000_000
    """Bytes of one uploaded or parsed-at-once file, as it comes."""
    unpacked_bytes: int = 1_000_000_000
    """Bytes that one packed file may hold once it is unpacked."""
    unpack_ratio: int = 200
    """Unpacked bytes for each packed byte above which a file is taken for a bomb."""
    form_parts: int = 50
    """Parts of one web form."""

    job_minutes: int = 30
    """Minutes that one job may run."""
    memory_share: float = 0.8
    """Share of the free memory that one job may use."""
    queue_jobs: int = 100
    """Jobs that wait at the same time."""
    user_jobs: int = 4
    """Jobs of one user that wait at the same time."""
    requests_per_minute: int = 60
    """Requests of one user in a minute."""
    keep_days: int = 30
    """Days for which results are kept."""
    kept_bytes: int = 5_000_000_000
    """Bytes of all kept results together; beyond them the oldest are forgotten before their time."""
    parser_bytes: int = 2_000_000_000
    """Bytes of memory for the child process that reads a stranger's file."""
    parser_seconds: int = 10
    """Seconds of computing for the child process that reads a stranger's file."""


LIMITS = Limits()
"""The defaults."""

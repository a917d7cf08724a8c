// The pLDDT that a predicted structure carries in its B-factor column, one a residue, from the text of the file.

/** B-factors of the CA atoms of one chain by the author's number ("60A"); of mmCIF the atom loop alone is read. */
function factors(text: string, chain: string): Map<string, number> {
  const found = new Map<string, number>();
  if (/^\s*(?:#[^\n]*\s+)*data_/.test(text)) {
    const columns: string[] = [];
    for (const line of text.split("\n")) {
      if (line.startsWith("_atom_site.")) columns.push(line.trim().slice("_atom_site.".length));
      else if (/^(ATOM|HETATM)\s/.test(line) && columns.length) {
        const cells = line.trim().split(/\s+/);
        const cell = (name: string) => cells[columns.indexOf(name)];
        if (cells.length !== columns.length || cell("label_atom_id") !== "CA" || cell("auth_asym_id") !== chain) continue;
        const insertion = cell("pdbx_PDB_ins_code") ?? "?";
        const key = `${cell("auth_seq_id")}${/^[?.]$/.test(insertion) ? "" : insertion}`;
        if (!found.has(key)) found.set(key, Number(cell("B_iso_or_equiv")));
      }
    }
    return found;
  }
  for (const line of text.split("\n")) {
    if (line.startsWith("ENDMDL")) break;
    if (!/^(ATOM  |HETATM)/.test(line) || line.slice(12, 16).trim() !== "CA" || line[21].trim() !== chain.trim()) continue;
    const key = line.slice(22, 27).trim();
    if (!found.has(key)) found.set(key, Number(line.slice(60, 66)));
  }
  return found;
}

/** pLDDT (0 to 100) of each residue; a file on the scale from 0 to 1 is brought to it. */
export function plddtOf(text: string, chain: string, numbering: string[]): (number | null)[] {
  const found = factors(text, chain);
  const values = numbering.map((one) => found.get(one)).map((one) => (one === undefined || Number.isNaN(one) ? null : one));
  const most = Math.max(...values.map((one) => one ?? 0));
  return most <= 1 ? values.map((one) => (one === null ? null : 100 * one)) : values;
}

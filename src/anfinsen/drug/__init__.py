"""Small molecules: read strictly, standardised aloud, judged as drugs, turned into numbers, drawn.

    reading       files and lines -> Molecule or refusal, in the order of the file; knows what a line may hold
    molecule      what a molecule is here, and the one call into the child process that reads strangers' formulas
    standardise   one formula -> its organic part without salt, charge and isotopes, and what was changed   (child)
    features      fragments as numbers, and the pieces that a reason names                                  (child)
    graph         atoms and bonds as numbers                                                                (child)
    properties    drug-likeness, Lipinski's rule, ease of synthesis                                         (child)
    alerts        fragments that fool assays or harm                                                        (child)
    drawing       a picture in two dimensions, atoms coloured by weights                                    (child)

What is marked runs RDKit, which a hostile formula can crash: only a limited child process ever calls it.
"""

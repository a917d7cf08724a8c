"""The service: the same questions over HTTP, for people in a browser and for programs.

    request -> guard -> app -> reading -> desk -> crew =pipe=> worker (a child: one Predictor) -> store -> answer

    contract    what is asked and what is answered, as types
    menu        the task list as the service tells it; from it alone come routes, forms and schemas   (in the child)
    reading     a request's sequences, judged as strictly as those of a file
    worker      the child that holds the model and may die
    crew        the parent's end of that child: start, ask, notice its death
    desk        jobs: who is next, which proteins are asked together, what happens after a death
    store       jobs and answers in SQLite, which survive a restart
    guard       who may ask: host, origin, token, rate, size
    problem     errors as JSON: where, what came, what was expected, what to do
    schema      the OpenAPI page, completed from the menu
    asking      the routes that ask, at once or as a job
    looking     the routes that look closer: mutations, reasons, a fold, sites, a partner, drugs, a library
    closer      what the child does for them inside a protein
    binder      and for what binds to it
    entries     the route that gets proteins by their ids from UniProt, the PDB and AlphaFold DB
    school      trainings and lessons, each a child process of the command line in a folder of its own
    training    their routes, with every step as it happens
    files       the web app's built files
    app         the application: the other routes, errors
    run         settings, token, socket, uvicorn
    static      the web app, built from the folder web by scripts/web; it asks nobody but this server

The process that speaks to the network never loads a model, and no text from a request is ever part of a path. It may
not import the training room.
"""

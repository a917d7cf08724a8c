"""How many machines: a training or a long job on one process, on several, or on a cluster; knows no task and no model.

strategy    the contract of a training on N processes, and its plainest form: one device
replicas    DDP: every process holds all weights
sharding    FSDP2: every process holds a part of them
deepspeed   ZeRO stages 1 to 3, by DeepSpeed (an extra)
processes   N processes of one command on this machine
ray         blocks and trainings on a Ray cluster, `tuning` trials that compete, `serving` replicas (an extra)
cloud       what a job would cost on rented machines, and the commands that would run it; runs nothing
"""

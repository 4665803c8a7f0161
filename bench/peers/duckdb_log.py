"""duckdb_log.py make FILE: writes a log of 30 M events
duckdb_log.py read FILE: how long duckdb takes to read it on one thread, into columns, and then into what
sessrec_log_read gives: numbers for ids, events grouped by sessions in the order of time."""
import sys
import time


def make(path, events=30_000_000, piece=1_000_000):
    import numpy as np
    import pandas as pd
    rng = np.random.default_rng(1)
    items = rng.zipf(1.2, events) % 300000 + 214_000_000
    sessions = np.sort(rng.integers(0, 6_000_000, events)) + 1_000_000
    times = 1396321200 + np.cumsum(rng.integers(0, 2, events)) * 1.0
    with open(path, 'w') as file:
        file.write('SessionId\tItemId\tTime\n')
        for i in range(0, events, piece):
            part = {'s': sessions[i:i + piece], 'i': items[i:i + piece], 't': times[i:i + piece]}
            pd.DataFrame(part).to_csv(file, sep='\t', header=False, index=False, float_format='%.1f')


def read(path):
    import duckdb
    db = duckdb.connect()
    db.execute('SET threads=1')
    start = time.process_time()
    db.execute("create table log as select * from read_csv(?, delim='\t', header=true)", [path])
    columns = time.process_time()
    db.execute('create table items as select ItemId, row_number() over () - 1 as item '
               'from (select distinct ItemId from log)')
    db.execute('create table sessions as select SessionId, row_number() over (order by start) - 1 as session '
               'from (select SessionId, min(Time) as start from log group by SessionId)')
    db.execute('create table grouped as select session, item, Time from log join items using (ItemId) '
               'join sessions using (SessionId) order by session, Time')
    print(f'columns {columns - start:.2f} s, numbered and grouped {time.process_time() - start:.2f} s '
          'of processor time')


{'make': make, 'read': read}[sys.argv[1]](sys.argv[2])

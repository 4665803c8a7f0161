#!/usr/bin/env python3
"""count_logs.py DIRECTORY: counts the logs of DIRECTORY/expected.tsv with Python's csv and json modules, as
an
independent reader, and prints the file's lines as they should be: file, separator, options, events, sessions,
items,
users."""
import csv, json, os, shlex, sys

def rows(path, separator, quotes):
    if separator == 'json':
        for line in open(path, encoding='utf-8'):
            yield json.loads(line)
        return
    text = open(path, encoding='latin-1', newline='')
    if separator == '::':
        for line in text: yield line.rstrip('\r\n').split('::')
    else:
        quoting = csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE
        yield from csv.reader(text, delimiter={'tab': '\t'}.get(separator, separator), quoting=quoting,
                              skipinitialspace=os.path.basename(path) == 'spaces.csv')

def plain(name): return name.split(':')[0].replace('_', '').strip('\ufeff\u00ef\u00bb\u00bf ').lower()

def count(path, separator, options):
    o = {'--session-column': 'SessionId', '--item-column': 'ItemId', '--user': 'UserId', '--where': '',
         '--blank': None}
    words = shlex.split(options)
    for at, word in enumerate(words):
        if word.startswith('--'): o[word] = words[at + 1] if at + 1 < len(words) else ''
    condition, _, values = o['--where'].partition('=')
    wanted = [o['--session-column'], o['--item-column'], o['--user'], condition]
    everything = list(rows(path, separator, '--no-quotes' not in o))
    if separator == 'json':
        get = lambda row, name: str(row.get(name, '')) if name else None
        has_users = bool(o['--user']) and any(o['--user'] in row for row in everything)
    elif wanted[0].isdigit():
        get = lambda row, name: row[int(name) - 1] if name.isdigit() else None
        has_users = o['--user'].isdigit()
    else:
        header = everything[0]
        place = {plain(name): at for at, name in reversed(list(enumerate(header)))}
        everything = [row for row in everything[1:] if row != header]
        get = lambda row, name: row[place[plain(name)]] if name and plain(name) in place else None
        has_users = bool(o['--user']) and plain(o['--user']) in place
    events, sessions, items, users = 0, set(), set(), set()
    for row in everything:
        session, item, user, kind = [get(row, name) for name in wanted]
        if condition and kind not in values.split(','): continue
        if user == o['--blank']: user = ''
        events += 1
        items.add(item)
        sessions.add((session, user if has_users else ''))
        if has_users and user: users.add(user)
    return events, len(sessions), len(items), len(users)

for line in open(os.path.join(sys.argv[1], 'expected.tsv')):
    name, separator, options = line.rstrip('\n').split('\t')[:3]
    print(name, separator, options, *count(os.path.join(sys.argv[1], name), separator, options), sep='\t')

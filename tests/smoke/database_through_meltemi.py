#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
A real database, whose server speaks first, through Meltemi as a byte stream: two MariaDB servers, the mariadb program
and PyMySQL as clients. Queries on several connections, a blob of 16 MiB both ways, a server killed in mid-query.
"""

import collections
import hashlib
import shutil
import subprocess
import threading
import time

from meltemi_lab import Failure, Lab, Skip, check, equal, main, netns, streams, within
from meltemi_lab.documents import service, subsets

try:
    import pymysql
except ImportError:
    pymysql = None

HOST, VIP, PORT = "shop.test", "240.240.2.1", 3306
CONNECTIONS, QUERIES = 5, 200  # queries of each connection
BLOB = 16 << 20                # longer than one packet of the protocol
LOST = (2006, 2013)            # "server has gone away", "lost connection during query"
SMALL = ("--no-defaults", "--user=root", "--innodb-data-file-path=ibdata1:5M:autoextend", "--innodb-log-file-size=4M",
         "--innodb-buffer-pool-size=8M", "--innodb-undo-tablespaces=0", "--innodb-temp-data-file-path=ibtmp1:1M:autoextend")
INIT = """\
CREATE DATABASE shop;
CREATE USER 'app'@'%' IDENTIFIED BY 'secret';
GRANT ALL ON shop.* TO 'app'@'%';
CREATE TABLE shop.items (id INT PRIMARY KEY, name VARCHAR(100));
CREATE TABLE shop.pictures (id INT PRIMARY KEY, data LONGBLOB) ENGINE=MyISAM;
"""


def install(lab):
    """An empty database's files: they are made once and copied."""
    data = lab.directory / "mariadb"
    netns.run("mariadb-install-db", *SMALL, "--auth-root-authentication-method=normal", "--skip-test-db", f"--datadir={data}")
    (lab.directory / "init.sql").write_text(INIT)
    return data


def start(lab, number, pristine):
    data = lab.directory / f"mariadb{number}"
    shutil.copytree(pristine, data)
    return lab.run(f"server{number}", f"mariadbd{number}", [
        "mariadbd", *SMALL, f"--datadir={data}", f"--socket={data}/socket", f"--pid-file={data}/pid", f"--port={PORT}",
        f"--server-id={number}", f"--init-file={lab.directory}/init.sql", "--max-allowed-packet=64M",
        "--skip-name-resolve", "--skip-log-bin"])


def serving(lab, number, process):
    """Asked past Meltemi, so that its first connection finds a server that answers."""
    def answers():
        check(process.running(), f"mariadbd ended: {process.tail()}")
        try:
            connect(lab, lab.server(number)).close()
            return True
        except pymysql.err.OperationalError:
            return False

    within(30, answers, f"MariaDB {number} serves", step=0.2)


def connect(lab, host=VIP):
    with lab.inside("client"):
        return pymysql.connect(host=host, port=PORT, user="app", password="secret", database="shop", autocommit=True,
                               max_allowed_packet=64 << 20, connect_timeout=30, read_timeout=30, write_timeout=30)


def ask(connection, query, *arguments):
    with connection.cursor() as cursor:
        cursor.execute(query, arguments)
        row = cursor.fetchone()
    return row[0] if row else None


def program(lab):
    """The database's own command-line client; its greeting, login and result pass through."""
    argv = ["ip", "netns", "exec", lab.namespace("client"), "mariadb", "--no-defaults", "--protocol=tcp", f"--host={VIP}",
            "--user=app", "--password=secret", "--batch", "--skip-column-names", "shop"]
    done = subprocess.run([*argv, "-e", "SELECT 6 * 7; SELECT REPEAT('x', 100000);"], text=True, capture_output=True,
                          timeout=30, check=False)
    equal((done.returncode, done.stderr), (0, ""), "mariadb's exit status and complaint")
    equal(done.stdout.split(), ["42", "x" * 100000], "what mariadb printed")


def queries(lab):
    """Each connection writes and reads rows of its own, all at the same time."""
    answered, wrong = collections.Counter(), []

    def work(worker):
        connection = connect(lab)
        server = ask(connection, "SELECT @@server_id")
        for n in range(0, QUERIES, 2):
            key, name = worker * QUERIES + n, f"item {worker}/{n}"
            ask(connection, "INSERT INTO items VALUES (%s, %s)", key, name)
            if ask(connection, "SELECT name FROM items WHERE id = %s", key) != name:
                wrong.append(name)
            answered[server] += 2
        connection.close()

    threads = [threading.Thread(target=work, args=(worker,)) for worker in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(f"queries answered: {dict(answered)}", flush=True)
    equal((sum(answered.values()), wrong), (CONNECTIONS * QUERIES, []), "queries answered, and answered wrongly")
    equal(len(answered), 2, "servers that took part")


def blob(lab):
    """The server's own digest of what it was sent, and the client's of what it got back."""
    sent = streams.content(7, BLOB)
    connection = connect(lab)
    ask(connection, "INSERT INTO pictures VALUES (1, _binary %s)", sent)
    equal(ask(connection, "SELECT SHA2(data, 256) FROM pictures"), hashlib.sha256(sent).hexdigest(), "digest at the server")
    back = ask(connection, "SELECT data FROM pictures")
    equal((len(back), hashlib.sha256(back).hexdigest()), (BLOB, hashlib.sha256(sent).hexdigest()), "what came back")
    connection.close()


def in_mid_query(lab, servers):
    """kill -9: the query under way is lost at once, others and later ones do not notice."""
    kept = {ask(connection, "SELECT @@server_id"): connection for connection in (connect(lab) for _ in range(6))}
    check(len(kept) == 2, f"six connections reached only servers {list(kept)}")
    victim, other = kept[1], kept[2]
    killer = threading.Timer(1, servers[1].kill)
    killer.start()
    began = time.monotonic()
    try:
        answer = ask(victim, "SELECT SLEEP(20)")
    except pymysql.err.OperationalError as error:
        check(error.args[0] in LOST, f"the client was told {error}")
    else:
        raise Failure(f"a query of a dead server was answered: {answer}")
    killer.join()
    took = time.monotonic() - began - 1
    print(f"the query of the killed server was lost {took * 1000:.0f} ms after the kill", flush=True)
    check(took < 15, f"the lost connection was seen after {took:.1f} s")
    equal(ask(other, "SELECT @@server_id"), 2, "the other server's connection")
    servers[1].popen.wait(20)  # until then its kernel may still accept for it
    for _ in range(50):
        later = connect(lab)
        equal(ask(later, "SELECT @@server_id"), 2, "who answers later connections")
        later.close()


def body():
    missing = [name for name in ("mariadbd", "mariadb-install-db", "mariadb") if not shutil.which(name)]
    if missing or not pymysql:
        raise Skip(f"not installed: {' '.join(missing) or 'python3-pymysql'}")
    with Lab(servers=2) as lab:
        pristine = install(lab)
        servers = {number: start(lab, number, pristine) for number in (1, 2)}
        for number, process in servers.items():
            serving(lab, number, process)
        daemon = lab.meltemi()
        daemon.write("shop.yaml", service(HOST, VIP, PORT, "tcp-mysql", [(lab.server(n), PORT, {}) for n in (1, 2)]))
        daemon.write("rule.yaml", subsets(HOST, [], "simple: ROUND_ROBIN"))
        daemon.start()
        idle = daemon.in_use()
        program(lab)
        queries(lab)
        blob(lab)
        in_mid_query(lab, servers)
        daemon.memory_returns(idle)


main(body)

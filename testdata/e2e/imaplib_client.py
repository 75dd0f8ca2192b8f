"""Reads mail with Python's imaplib, for the end-to-end tests.

Logs in, lists, appends the file $MESSAGE, fetches it back into $FETCHED,
sees a new message in IDLE, logs out. Prints "idling", "new mail", "done".
"""

import imaplib
import os
import ssl
import sys

TIMEOUT = 60  # seconds, for each read


def connect(port, mode, ca):
    """Connects to localhost in one of the modes plain, starttls and tls."""
    context = ssl.create_default_context(cafile=ca)
    if mode == "tls":
        return imaplib.IMAP4_SSL("127.0.0.1", port, ssl_context=context, timeout=TIMEOUT)
    client = imaplib.IMAP4("127.0.0.1", port, timeout=TIMEOUT)
    if mode == "starttls":
        check(client.starttls(context))
    return client


def check(answer):
    """Gives the data of an answer that is OK and ends the script otherwise."""
    status, data = answer
    if status != "OK":
        sys.exit(f"the server answers {status} {data}")
    return data


def idle(client):
    """Waits in IDLE for one new message; imaplib knows no IDLE before Python 3.14."""
    client.send(b"X1 IDLE\r\n")
    line = client.readline()
    while not line.startswith(b"+"):
        if not line.startswith(b"* "):
            sys.exit(f"IDLE is answered by {line}")
        line = client.readline()
    print("idling", flush=True)
    while not line.endswith(b" EXISTS\r\n"):
        line = client.readline()
        if not line:
            sys.exit("the connection ended in IDLE")
    print("new mail", flush=True)
    client.send(b"DONE\r\n")
    while not line.startswith(b"X1 "):
        line = client.readline()
        if not line:
            sys.exit("the connection ended behind DONE")
    if not line.startswith(b"X1 OK"):
        sys.exit(f"DONE is answered by {line}")


def main():
    """Runs the whole session."""
    env = os.environ
    client = connect(int(env["PORT"]), env["MODE"], env["CA"])
    check(client.login(env["IMAP_USER"], env["IMAP_PASSWORD"]))
    mailboxes = check(client.list())
    if not any(env["CANARY"].encode() in mailbox for mailbox in mailboxes):
        sys.exit(f"LIST gives {mailboxes}, want {env['CANARY']}")
    with open(env["MESSAGE"], "rb") as file:
        check(client.append("INBOX", None, None, file.read()))
    check(client.select("INBOX"))
    number = check(client.search(None, "SUBJECT", env["SUBJECT"]))[0]
    data = check(client.fetch(number, "(BODY.PEEK[])"))
    with open(env["FETCHED"], "wb") as file:
        file.write(data[0][1])
    idle(client)
    status, data = client.logout()
    if status != "BYE":
        sys.exit(f"LOGOUT is answered by {status} {data}")
    print("done", flush=True)


main()

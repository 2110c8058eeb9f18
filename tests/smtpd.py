# smtpd.py PORT_FILE MAILS [--cert FILE --key FILE] [--auth USER:PASSWORD] [--slow MS]
#
# A mail server for tests: aiosmtpd of Debian's python3-aiosmtpd, with STARTTLS and AUTH where asked.
# Each mail that was taken is a line of JSON in MAILS: from, to, text, tls, user. What the address
# begins with says what becomes of it:
#   hard@ 550 5.1.1   full@ 552 5.2.2   blocked@ 550 5.7.1   plain550@ 550    spam@ 554 after the text
#   grey@ 451 once, then taken          drop@ the connection ends after the text, without an answer
#   full4@ 452 4.2.2 always             as sender: refused@ 550
# SPDX-License-Identifier: Apache-2.0
import argparse
import asyncio
import json
import os
import signal
import ssl

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

parser = argparse.ArgumentParser()
parser.add_argument("port_file")
parser.add_argument("mails")
parser.add_argument("--cert")
parser.add_argument("--key")
parser.add_argument("--auth")
parser.add_argument("--slow", type=int, default=0)
args = parser.parse_args()
grey = set()

REFUSED = {"hard": "550 5.1.1 no such user here", "full": "552 5.2.2 mailbox full",
           "blocked": "550 5.7.1 your address is blocked", "plain550": "550 not here",
           "full4": "452 4.2.2 mailbox full for now"}


class Handler:
    async def handle_MAIL(self, server, session, envelope, address, options):
        if address.startswith("refused@"):
            return "550 5.7.1 you may not send as that"
        envelope.mail_from = address
        return "250 2.1.0 ok"

    async def handle_RCPT(self, server, session, envelope, address, options):
        name = address.split("@")[0]
        if name in REFUSED:
            return REFUSED[name]
        if name == "grey" and session.peer[0] not in grey:
            grey.add(session.peer[0])
            return "451 4.7.1 try again later"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server, session, envelope):
        name = envelope.rcpt_tos[0].split("@")[0]
        if name == "spam":
            return "554 5.7.1 that is spam"
        if args.slow:
            await asyncio.sleep(args.slow / 1000)
        line = json.dumps({"from": envelope.mail_from, "to": envelope.rcpt_tos,
                           "text": envelope.content.decode("latin-1"), "tls": bool(session.ssl),
                           "user": (session.auth_data.login.decode() if session.auth_data else None)})
        with open(args.mails, "a") as out:
            out.write(line + "\n")
        if name == "drop":
            server.transport.abort()
        return "250 2.0.0 taken"


def authenticate(server, session, envelope, mechanism, data):
    user, password = args.auth.split(":", 1)
    good = isinstance(data, LoginPassword) and data.login.decode() == user and \
        data.password.decode() == password
    return AuthResult(success=good, handled=False, auth_data=data if good else None)


async def main():
    tls = None
    if args.cert:
        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(args.cert, args.key)

    def factory():
        return SMTP(Handler(), hostname="localhost", tls_context=tls, require_starttls=bool(tls),
                    authenticator=authenticate if args.auth else None,
                    auth_required=bool(args.auth), auth_require_tls=bool(tls))

    loop = asyncio.get_running_loop()
    server = await loop.create_server(factory, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    with open(args.port_file + ".new", "w") as out:
        out.write(str(port))
    os.rename(args.port_file + ".new", args.port_file)
    stop = loop.create_future()
    loop.add_signal_handler(signal.SIGTERM, stop.set_result, None)
    await stop

asyncio.run(main())

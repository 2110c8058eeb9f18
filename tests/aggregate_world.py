# aggregate_world - events through the real programs, and questions about them over HTTP
#
#       send([..]) --> collect --stdin --> enrich --> log --> aggregate (runs) <-- ask(kind, question)
#
# $BIN holds the programs; dir is the caller's. Each send waits until aggregate has read all of it.
# SPDX-License-Identifier: Apache-2.0
import json
import os
import subprocess
import time
import urllib.error
import urllib.request


class World:
    def __init__(self, dir, *options):
        self.dir, self.sent = dir, 0
        self.bin = os.environ["BIN"]
        os.makedirs(dir, exist_ok=True)
        self.log = open(f"{dir}/log", "ab")
        self.port = f"{dir}/port"
        self.send([])
        self.process = subprocess.Popen(
            [f"{self.bin}/aggregate", "--bus", f"log:{dir}/data", "--state", f"{dir}/state", "--http",
             "127.0.0.1:0", "--port-file", self.port, *options], stdout=self.log, stderr=self.log)
        self.wait(lambda: os.path.exists(self.port), "aggregate listens")
        self.address = open(self.port).read().strip()

    def wait(self, condition, words, seconds=60):
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                raise RuntimeError(f"not in {seconds} s: {words}")
            time.sleep(0.02)

    def run(self, *arguments, input=None):
        subprocess.run([f"{self.bin}/{arguments[0]}", *arguments[1:]], input=input, check=True,
                       stdout=self.log, stderr=self.log)

    def send(self, events):
        lines = []
        for event in events:
            self.sent += 1
            lines.append(json.dumps({"type": "track", "messageId": f"m{self.sent:08d}", **event}))
        self.run("collect", "--stdin", "--source", "test", "--out", f"log:{self.dir}/data/collected",
                 input="".join(line + "\n" for line in lines).encode())
        self.run("enrich", "--bus", f"log:{self.dir}/data", "--until-end")
        if lines:
            self.wait(self.caught_up, "aggregate has read all")

    def caught_up(self):
        status = self.get("/v1/status")
        return status["events"] + status["ledger"]["duplicate"] + status["ledger"]["bad"] >= self.sent

    def get(self, path):
        with urllib.request.urlopen(f"http://{self.address}{path}") as answer:
            return json.load(answer)

    # (status, answer); an answer that is no JSON comes as text
    def ask(self, kind, question, accept="application/json"):
        body = question if isinstance(question, bytes) else json.dumps(question).encode()
        request = urllib.request.Request(f"http://{self.address}/v1/query/{kind}", body,
                                         {"Accept": accept})
        try:
            with urllib.request.urlopen(request) as answer:
                status, text = answer.status, answer.read()
        except urllib.error.HTTPError as error:
            status, text = error.code, error.read()
        return status, json.loads(text) if accept == "application/json" else text.decode()

    def trend(self, **question):
        status, answer = self.ask("trend", question)
        if status != 200:
            raise RuntimeError(f"{question}: {answer}")
        return answer

    def close(self):
        self.process.terminate()
        if self.process.wait(60) != 0:
            raise RuntimeError("aggregate did not end well")
        self.log.close()


class Tap:
    def __init__(self):
        self.count = self.failed = 0

    def ok(self, passed, words):
        self.count += 1
        self.failed += not passed
        print(f"{'ok' if passed else 'not ok'} {self.count} - {words}", flush=True)
        return passed

    def same(self, got, wanted, words):
        if not self.ok(got == wanted, words):
            print(f"# got:    {json.dumps(got)[:600]}\n# wanted: {json.dumps(wanted)[:600]}", flush=True)

    def end(self):
        print(f"1..{self.count}")
        return 1 if self.failed else 0

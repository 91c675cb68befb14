"""A runner whose module is a JSON object that says what to do: sleep, burn, print, exit, trap, die, hang, lie."""

import argparse
import json
import os
import signal
import subprocess
import sys
import time

import runner


class Fake:
    def load(self, command):
        with open(command["module"]) as file:
            self.script = json.load(file)
        self.argv, self.preopens = command["argv"], command["preopens"]
        if "log" in self.script:
            root = os.path.dirname(os.path.dirname(command["module"]))
            with open(os.path.join(root, self.script["log"]), "a") as file:
                file.write(str(self.script["number"]) + "\n")
        if self.script.get("refuse"):
            raise runner.Fail("does not compile: " + self.script["refuse"])
        return {"compile_ns": 1000, "load_ns": 0, "cached": False}

    def execute(self, stdout):
        script = self.script
        if "while" in script and not os.path.exists(script["while"]):
            script = {}
        if "spawn" in script:  # what lives on beside the runner, in a session of its own
            subprocess.Popen(["sleep", str(script["spawn"])], start_new_session=True)
        if "sleep_s" in script:
            time.sleep(script["sleep_s"])
        for _ in range(script.get("count", 0)):
            pass
        b"x" * script.get("memory_bytes", 0)
        until = time.process_time() + script.get("burn_s", 0)  # processor time, however busy the machine is
        while time.process_time() < until:
            pass
        with open(stdout, "w") as file:
            file.write(script.get("stdout", ""))
            file.write(os.environ.get(script.get("environment", ""), ""))
            if stdout != os.devnull:
                file.truncate(script.get("bytes", 0) or file.tell())
            if "read" in script:
                with open(os.path.join(self.preopens[0][1], script["read"])) as given:
                    file.write(given.read())
        if stdout == os.devnull and "later" in script:
            self.script = script = {**script, "later": {}, **script["later"]}
        if script.get("kill_agent"):
            os.kill(os.getppid(), signal.SIGKILL)
        if script.get("unfit"):
            raise runner.Unfit(script["unfit"])
        if script.get("trap"):
            raise runner.Trap(script["trap"])
        if "die" in script:
            if script["die"] == "signal":
                os.kill(os.getpid(), signal.SIGSEGV)
            sys.exit("the engine broke")
        return script.get("exit_code", 0)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--detect", action="store_true")
    if parser.parse_args().detect:
        print(json.dumps({"version": "1.0"}))
    else:
        runner.serve(Fake())

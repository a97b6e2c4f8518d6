"""The keeper of the replica set: its script for mongosh runs under Node.js against a stand-in of a member."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support import chart

FILES = chart.CHART / "files"
# A member that behaves as mongod does where it matters: nothing without a login but for the localhost exception, which
# ends with the first user; no writing but on the primary; one election after the initiation.
MEMBER = """
const vm = require("vm"), fs = require("fs");
const state = JSON.parse(process.argv[2]);
const source = fs.readFileSync(process.argv[3], "utf8");
const said = [];
function need(ok, text) { if (!ok) throw new Error(text); }
function connect(uri) {
  const login = /^mongodb:\\/\\/(?:(\\w+):(\\w+)@)?localhost:27017\\/admin\\?/.exec(uri);
  need(login && uri.includes("tls=true") && uri.includes("directConnection=true"), "uri");
  const user = login[1];
  if (user) need(state.users[user] && state.users[user].pwd === login[2], "Authentication failed.");
  const may = () => need(user || Object.keys(state.users).length === 0, "requires authentication");
  const write = () => { may(); need(state.primary, "not primary"); };
  return {
    hello: () => ({ setName: state.initiated ? "sealpost" : undefined, isWritablePrimary: state.primary,
                    secondary: state.initiated && !state.primary }),
    getUser: (name) => { may(); return state.users[name] || null; },
    createUser: ({ user: name, ...rest }) => {
      write(); need(!state.users[name], "exists"); state.users[name] = rest; said.push("create " + name); },
    updateUser: (name, rest) => { write(); state.users[name] = rest; said.push("update " + name); },
    adminCommand: (command) => {
      may();
      const config = command.replSetInitiate;
      if (config) Object.assign(state, { initiated: true, primary: true, config });
      said.push(Object.keys(command)[0]);
    },
  };
}
const fakeFs = { readFileSync: (path) => path.replace("/secrets/", "").replace(".password", "") + "pw\\n" };
const context = () => ({ connect, process: { env: JSON.parse(process.argv[4]) },
  require: (name) => { need(name === "fs", name); return fakeFs; } });
const errors = [];
for (let run = 0; run < 4; run++) {
  try { vm.runInNewContext(source, context()); break; } catch (error) { errors.push(error.message); }
}
console.log(JSON.stringify({ state, said, errors }));
"""


def run(state: dict[str, Any], pod: str = "sealpost-mongodb-0", users: str = "accounts,storage") -> dict[str, Any]:
    environment = {"POD_NAME": pod, "MEMBERS": "m0:27017,m1:27017,m2:27017", "USERS": users}
    arguments = ["-", json.dumps(state), str(FILES / "keeper.js"), json.dumps(environment)]
    done = subprocess.run(
        [str(chart.node()), *arguments], input=MEMBER, capture_output=True, text=True, timeout=30, check=True
    )
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def role(name: str) -> dict[str, Any]:
    return {"pwd": f"{name}pw", "roles": [{"role": "readWrite", "db": name}]}


NEW = {"initiated": False, "primary": False, "users": {}}
ADMIN = {"admin": {"pwd": "adminpw", "roles": ["root"]}}


def test_the_first_member_makes_the_set_and_its_users() -> None:
    done = run(NEW)
    assert done["said"] == [
        "replSetInitiate",
        "create admin",
        "create accounts",
        "create storage",
        "rotateCertificates",
    ]
    assert done["state"]["users"] == {**ADMIN, "accounts": role("accounts"), "storage": role("storage")}
    members = [{"_id": number, "host": f"m{number}:27017"} for number in range(3)]
    assert done["state"]["config"] == {"_id": "sealpost", "members": members}


def test_other_members_wait_for_the_first() -> None:
    done = run(NEW, pod="sealpost-mongodb-1")
    assert done["said"] == []
    assert set(done["errors"]) == {"the set is not initiated yet"}


def test_a_secondary_waits_for_the_administrator_and_makes_nobody() -> None:
    done = run({"initiated": True, "primary": False, "users": {}})
    assert done["said"] == []
    assert set(done["errors"]) == {"there is no administrator yet"}
    assert run({"initiated": True, "primary": False, "users": ADMIN})["said"] == ["rotateCertificates"]


def test_doing_it_again_sets_the_passwords_again() -> None:
    state = {"initiated": True, "primary": True, "users": {**ADMIN, "accounts": {"pwd": "old", "roles": ["root"]}}}
    done = run(state)
    assert done["said"] == ["update accounts", "create storage", "rotateCertificates"]
    assert done["state"]["users"]["accounts"] == role("accounts")
    assert done["errors"] == []


@pytest.mark.parametrize("missing", ["tls/tls.key", "secrets/keyfile"])
def test_the_shell_part_prepares_files_for_mongod_alone(tmp_path: Path, missing: str) -> None:
    script = (FILES / "keeper.sh").read_text()
    for folder in ("tls", "secrets"):
        (tmp_path / folder).mkdir()
        script = script.replace(f"/{folder}/", f"{tmp_path}/{folder}/")
    (tmp_path / "run").mkdir()
    script = script.replace("/run/mongodb", f"{tmp_path}/run")
    contents = {"tls/tls.crt": "certificate\n", "tls/tls.key": "key\n", "secrets/keyfile": "shared"}
    for name, text in contents.items():
        (tmp_path / name).write_text(text)
    subprocess.run(["bash", "-c", script, "keeper", "prepare"], check=True, timeout=10)
    made = {path.name: (path.read_text(), path.stat().st_mode & 0o777) for path in (tmp_path / "run").iterdir()}
    assert made == {"tls.pem": ("certificate\nkey\n", 0o600), "keyfile": ("shared", 0o600)}
    (tmp_path / missing).unlink()
    again = subprocess.run(["bash", "-c", script, "keeper", "prepare"], timeout=10, stderr=subprocess.DEVNULL)
    assert again.returncode != 0

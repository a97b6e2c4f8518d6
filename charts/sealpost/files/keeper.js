// Run by mongosh beside one member, over the loopback: initiate the set (first member only), make the administrator (by
// the localhost exception, which ends with him) and one user for each service with rights on its own database only, and
// let mongod read its certificate again. Everything may be repeated. An error ends it, and keeper.sh tries again.
const fs = require("fs");

const secret = (name) => fs.readFileSync(`/secrets/${name}`, "utf8").trim();
const members = process.env.MEMBERS.split(",");
const names = process.env.USERS.split(",").filter((name) => name);
const options = "directConnection=true&tls=true&tlsCAFile=/tls/ca.crt&serverSelectionTimeoutMS=5000";
const admin = (login) => connect(`mongodb://${login}localhost:27017/admin?${options}`);

function initiate() {
  const db = admin("");
  const hello = db.hello();
  if (hello.setName) return hello;
  if (!process.env.POD_NAME.endsWith("-0")) throw new Error("the set is not initiated yet");
  const config = { _id: "sealpost", members: members.map((host, _id) => ({ _id, host })) };
  db.adminCommand({ replSetInitiate: config });
  throw new Error("initiated; there is no primary yet");
}

function signIn(isPrimary) {
  const password = secret("admin.password");
  try {
    return admin(`admin:${password}@`);
  } catch (refused) {
    if (!isPrimary) throw new Error("there is no administrator yet");
    admin("").createUser({ user: "admin", pwd: password, roles: ["root"] });
    return admin(`admin:${password}@`);
  }
}

function putUser(db, name) {
  const user = { pwd: secret(`${name}.password`), roles: [{ role: "readWrite", db: name }] };
  if (db.getUser(name)) db.updateUser(name, user);
  else db.createUser({ user: name, ...user });
}

const hello = initiate();
if (!hello.isWritablePrimary && !hello.secondary) throw new Error("neither primary nor secondary");
const db = signIn(hello.isWritablePrimary);
if (hello.isWritablePrimary) names.forEach((name) => putUser(db, name));
db.adminCommand({ rotateCertificates: 1 });

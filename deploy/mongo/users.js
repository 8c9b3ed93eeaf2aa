// Gives each program its database user, with the least it needs, collection by collection. A role cannot part a
// document's fields: of an enrollment, the operator's command writes who takes which course and the recalculator how far
// they are, and the database lets both update all of it. Every other collection has one program that writes it.
//
// Run by mongosh as the root user at every start, so that a volume of an older version gets what a newer one needs, and a
// changed password takes effect. Environment: MONGO_HOST, MONGO_ROOT_PASSWORD, MONGO_DATABASE, and a password for each
// user as MONGO_<USER>_PASSWORD; MONGO_OPTIONS is added to the address (TLS).

const READ = ["find"];
const KEYS = ["find", "insert", "update", "remove"];

// What each may do, by collection. Whatever is not named here is refused (error 13).
const USERS = {
  progress: {
    courses: READ,
    courseModules: READ,
    lessons: READ,
    enrollments: READ,
    lessonProgress: ["find", "insert", "createIndex"],
    progressSigningKeys: KEYS,
  },
  recalculator: {
    courseModules: READ,
    lessons: READ,
    lessonProgress: READ,
    enrollments: ["find", "update", "createIndex"],
    courseSweeps: ["find", "insert", "update"],
    driftAudits: ["find", "insert", "update"],
    recalculatorSigningKeys: KEYS,
  },
  certificates: {
    users: READ,
    courses: READ,
    enrollments: READ,
    certificates: ["find", "insert", "update", "createIndex"],
    "fs.files": ["find", "insert", "remove", "createIndex"],
    "fs.chunks": ["find", "insert", "remove", "createIndex"],
    notifications: ["find", "insert", "update", "createIndex"],
    certificatesSigningKeys: KEYS,
  },
  // The operator's command: brings in what belongs to the platform, and reads everything for the audit and to verify a run.
  ops: {
    users: ["find", "insert", "update"],
    courses: ["find", "insert", "update"],
    courseModules: ["find", "insert", "update", "createIndex"],
    lessons: ["find", "insert", "update", "createIndex"],
    enrollments: ["find", "insert", "update", "createIndex"],
    lessonProgress: READ,
    certificates: READ,
    "fs.files": READ,
    "fs.chunks": READ,
    notifications: READ,
    courseSweeps: READ,
    progressSigningKeys: READ,
    recalculatorSigningKeys: READ,
    certificatesSigningKeys: READ,
  },
};

function end(sentence) {
  print(sentence);
  quit(1);
}

function setting(name) {
  return process.env[name] || end(`${name} is not set; see .env.example`);
}

function opened() {
  const address = `mongodb://${setting("MONGO_HOST")}/?directConnection=true&serverSelectionTimeoutMS=10000${process.env.MONGO_OPTIONS || ""}`;
  try {
    const server = new Mongo(address);
    server.getDB("admin").auth("root", setting("MONGO_ROOT_PASSWORD"));
    return server.getDB(setting("MONGO_DATABASE"));
  } catch (failure) {
    if (failure.code === 18) {
      end(
        "the database refuses its root user: its volume was made with another MONGO_ROOT_PASSWORD. Set that one again, " +
          "or begin anew with `docker compose down --volumes`, which deletes all data",
      );
    }
    end(`the database cannot be prepared: ${failure.message}`);
  }
}

function done(answer) {
  if (answer.ok !== 1) {
    throw new Error(answer.errmsg);
  }
  return answer;
}

function give(db, name, collections) {
  const privileges = Object.entries(collections).map(([collection, actions]) => ({
    resource: { db: db.getName(), collection },
    actions,
  }));
  const role = done(db.runCommand({ rolesInfo: name })).roles.length ? "updateRole" : "createRole";
  done(db.runCommand({ [role]: name, privileges, roles: [] }));
  const user = done(db.runCommand({ usersInfo: name })).users.length ? "updateUser" : "createUser";
  done(db.runCommand({ [user]: name, pwd: setting(`MONGO_${name.toUpperCase()}_PASSWORD`), roles: [name] }));
}

const database = opened();
for (const [name, collections] of Object.entries(USERS)) {
  try {
    give(database, name, collections);
  } catch (failure) {
    end(`the user ${name} cannot be made as deploy/mongo/users.js says: ${failure.message}`);
  }
}
print(`the database has its users: ${Object.keys(USERS).join(", ")}`);

import Foundation
import GRDB
import Mail
import Queue
import RelayTesting
import Testing

@testable import Storage

@Suite struct `Accounts on disk` {
    let folder = Folder()
    let now = Timestamp(milliseconds: 1_795_341_087_000)

    private func opened(_ path: String) throws -> AccountStore { try AccountStore(spool: try Spool(path: path)) }

    @Test func `are there after a restart, each as it was written last`() throws {
        do {
            let store = try opened(folder.path)
            defer { store.close() }
            #expect(try store.all() == [])
            try store.write(["b": "{}", "a": #"{"x":"grüße"}"#, "gone": "{}"], at: now)
            try store.write(["b": #"{"y":1}"#, "gone": nil, "never there": nil], at: now + .seconds(1))
        }
        let store = try opened(folder.path)
        defer { store.close() }
        #expect(
            try store.all() == [
                AccountStore.Row(name: "a", record: #"{"x":"grüße"}"#, changed: now),
                AccountStore.Row(name: "b", record: #"{"y":1}"#, changed: now + .seconds(1)),
            ])
    }

    @Test func `are on disk when a change is done, whatever happens then`() throws {
        let store = try opened(folder.path)
        defer { store.close() }
        for number in 0..<20 {
            try store.write(["account\(number)": "{}"], at: now)
            let copy = folder.copy()
            let crashed = try opened(copy.path)
            #expect(try crashed.all().count == number + 1)
            crashed.close()
        }
    }

    @Test func `whom customers know, and what they have used, is there after a restart`() throws {
        let key = [UInt8](repeating: 3, count: 32)
        func recipient(_ digest: UInt64, _ day: UInt16?) -> KnownRecipient {
            KnownRecipient(customer: "acme", digest: digest, day: day)
        }
        do {
            let store = try opened(folder.path)
            defer { store.close() }
            #expect(try store.key("recipients", orElse: key) == key)
            try store.keep(recipients: [recipient(1, 10), recipient(.max, 20), recipient(2, 20), recipient(3, 30)])
            try store.keep(recipients: [recipient(2, nil), recipient(3, 31)])
            try store.keep(counts: ["acme": "1:2:3:4", "globex": "5"])
            try store.keep(counts: ["acme": "6"])
        }
        let store = try opened(folder.path)
        defer { store.close() }
        #expect(try store.key("recipients", orElse: []) == key)
        #expect(try Set(store.recipients(since: 15)) == [recipient(.max, 20), recipient(3, 31)])
        #expect(try store.recipients(since: 0).count == 2, "what is too old is forgotten for good")
        #expect(try store.counts() == ["acme": "6", "globex": "5"])
    }

    @Test func `addresses that accounts log in from are there after a restart, the last ones first`() throws {
        func friend(_ number: UInt32) -> KnownLogin {
            KnownLogin(user: "app", address: IPAddress(v4: number))
        }
        do {
            let store = try opened(folder.path)
            defer { store.close() }
            try store.keep(friends: [friend(1), friend(2)], day: 10, since: 0)
            try store.keep(friends: [friend(3)], day: 20, since: 0)
            try store.keep(friends: [friend(2)], day: 30, since: 15)
        }
        let store = try opened(folder.path)
        defer { store.close() }
        #expect(try store.friends(limit: 9) == [friend(2), friend(3)], "the first has not come for too long")
        #expect(try store.friends(limit: 1) == [friend(2)])
    }

    @Test func `a file of an earlier version is brought up to this one`() throws {
        let path = folder.path + "/accounts.sqlite"
        _ = try Spool(path: folder.path)
        try DatabaseQueue(path: path).write { database in
            for step in AccountSchema.steps.prefix(2).joined() { try database.execute(sql: step) }
            try database.execute(
                sql: "INSERT INTO account VALUES ('acme', '{}', 0); INSERT INTO habit VALUES ('acme', '20779:4')")
            try database.execute(sql: "PRAGMA user_version = 2")
        }
        let store = try opened(folder.path)
        defer { store.close() }
        #expect(try store.all().map(\.name) == ["acme"])
        #expect(try store.habits() == ["acme": "20779:4"])
        #expect(try store.counts().isEmpty && store.recipients(since: 0).isEmpty)
    }

    @Test func `belong to their owner alone`() throws {
        try opened(folder.path).close()
        let attributes = try FileManager.default.attributesOfItem(atPath: folder.path + "/accounts.sqlite")
        #expect(attributes[.posixPermissions] as? Int == 0o600)
    }

    @Test func `a file of a later version, and one that is none, are left alone`() throws {
        try opened(folder.path).close()
        let path = folder.path + "/accounts.sqlite"
        try DatabaseQueue(path: path).write { try $0.execute(sql: "PRAGMA user_version = 99") }
        #expect(throws: StoreFailure.self) { try opened(folder.path) }
        try Data("no database at all, but longer than its header: \(String(repeating: "x", count: 200))".utf8)
            .write(to: URL(filePath: path))
        for end in ["-wal", "-shm"] { try? FileManager.default.removeItem(atPath: path + end) }
        #expect(throws: StoreFailure.self) { try opened(folder.path) }
        #expect(try String(contentsOf: URL(filePath: path), encoding: .utf8).hasPrefix("no database"))
    }
}

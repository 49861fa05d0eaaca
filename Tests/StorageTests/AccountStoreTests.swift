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

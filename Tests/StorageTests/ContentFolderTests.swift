import Glibc
import Mail
import NIOCore
import NIOPosix
import Queue
import RelayTesting
import Storage
import Testing

@Suite struct `Content files` {
    let folder = Folder()
    let loop = MultiThreadedEventLoopGroup.singleton.next()
    let id = MessageID(value: 1 << 40)

    func contents() throws -> ContentFolder { try ContentFolder(spool: Spool(path: folder.path), logger: quiet) }

    func write(_ chunks: [String], to contents: ContentFolder) async throws -> Content {
        let writer = contents.write(for: id, on: loop)
        for chunk in chunks { _ = writer.append(ByteBuffer(string: chunk)) }
        let content = try await writer.finish().get()
        #expect(writer.backlog == 0)
        return content
    }

    @Test func `what is written in pieces is read back in pieces`() async throws {
        let contents = try contents()
        defer { contents.stop() }
        let chunks = (0..<100).map { "chunk \($0) " + String(repeating: "x", count: 1_000) + "\r\n" }
        guard case .file(let name) = try await write(chunks, to: contents) else {
            Issue.record("content is not a file")
            return
        }
        let reader = try await contents.read(name, on: loop).get()
        var found = ""
        while let bytes = try await reader.next(777).get() {
            #expect(bytes.readableBytes <= 777)
            found += String(buffer: bytes)
        }
        reader.close()
        #expect(found == chunks.joined())
        var status = stat()
        #expect(stat(folder.path + "/content/" + name, &status) == 0)
        #expect(status.st_mode & 0o777 == 0o600)
    }

    @Test func `an abandoned file is gone`() async throws {
        let contents = try contents()
        let writer = contents.write(for: id, on: loop)
        try await writer.append(ByteBuffer(string: "x")).get()
        #expect(folder.names(in: "content") == ["\(id)"])
        writer.abandon()
        contents.stop()
        #expect(folder.names(in: "content").isEmpty)
    }

    @Test func `a file that was let go unfinished is gone`() async throws {
        let contents = try contents()
        var writer: (any ContentWriter)? = contents.write(for: id, on: loop)
        try await writer?.append(ByteBuffer(string: "x")).get()
        writer = nil
        contents.stop()
        #expect(folder.names(in: "content").isEmpty)
    }

    @Test func `a write that fails is told, and nothing is finished after it`() async throws {
        let contents = try contents()
        defer { contents.stop() }
        _ = try await write(["x"], to: contents)
        let writer = contents.write(for: id, on: loop)
        await #expect(throws: StoreFailure.self) { try await writer.append(ByteBuffer(string: "y")).get() }
        await #expect(throws: StoreFailure.self) { _ = try await writer.finish().get() }
        writer.abandon()
        // The file belongs to the first.
        let reader = try await contents.read("\(id)", on: loop).get()
        #expect(try await reader.next(10).get() == ByteBuffer(string: "x"))
    }

    @Test(arguments: ["../queue.sqlite", "", "nothing", "0000000000001"])
    func `what is no content file cannot be read`(_ name: String) async throws {
        let contents = try contents()
        defer { contents.stop() }
        await #expect(throws: StoreFailure.self) { _ = try await contents.read(name, on: loop).get() }
    }

    @Test func `removed files are gone, missing ones are no error`() async throws {
        let contents = try contents()
        _ = try await write(["x"], to: contents)
        contents.remove(["\(id)", "\(MessageID(value: 5))", "../lock"])
        contents.stop()
        #expect(folder.names(in: "content").isEmpty)
        #expect(folder.names().contains("lock"))
    }

    @Test func `files that no message names are swept, others stay`() async throws {
        let contents = try contents()
        defer { contents.stop() }
        let ids = (1...1_200).map { MessageID(value: UInt64($0) << 21) }
        for id in ids { close(open(folder.path + "/content/\(id)", O_CREAT | O_WRONLY, 0o600)) }
        close(open(folder.path + "/content/README", O_CREAT | O_WRONLY, 0o600))
        let kept = Set(ids.filter { $0.value >> 21 % 3 == 0 })
        try contents.sweep { kept.intersection($0) }
        #expect(folder.names(in: "content") == (kept.map { "\($0)" } + ["README"]).sorted())
    }
}

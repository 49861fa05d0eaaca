import ArgumentParser
import Delivery
import Foundation
import Glibc
import Logging
import Mail
import Queue
import Storage

/// `figaro backup`
struct BackupCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "backup", abstract: "Copy the spool while the relay works: queue, content, history, settings.",
        discussion: """
            The folder is made under another name and gets its own when it is complete and on the disk; one that has \
            the name is good. Content files get a second name where the backup lies on the spool's file system (which \
            protects from mistakes, not from the disk), and are copied everywhere else. Mail flows meanwhile.

            Whoever restores it sends again what was delivered after it: see figaro restore.

            Examples:
              figaro backup --config /etc/figaro/relay.yaml --to /backup/figaro-$(date +%F)
              figaro audit --spool /backup/figaro-2026-11-22

            Exit codes: 0 complete, 1 made, but content of messages was missing in the spool itself, 66 the spool \
            cannot be read, 73 it cannot be made, 78 the configuration is wrong.
            """)

    @OptionGroup var spool: SpoolOption
    @Option(help: ArgumentHelp("The backup's folder; it must not be there yet.", valueName: "folder")) var to: String
    @Flag(name: .customLong("no-history"), help: "Leave the history out: traces begin anew after a restore.")
    var noHistory = false

    func run() throws {
        umask(0o077)
        let path = try spool.path()
        let target = SpoolOption.absolute(to)
        guard access(path + "/queue.sqlite", R_OK) == 0 else {
            Terminal.complain(Visible.text("cannot read the spool \(path): \(String(cString: strerror(errno)))"))
            throw ExitCode.noInput
        }
        let result: SpoolBackup.Result
        do {
            let backup = try SpoolBackup(of: path, to: target, history: !noHistory)
            result = try backup.run { JSONLine.text(BackupManifest($0, spool: path)) }
        } catch let error as StoreFailure {
            Terminal.complain(Visible.text("cannot back up: \(error)"))
            throw ExitCode.cannotMake
        }
        Terminal.say(
            Visible.text(
                "\(target): \(result.messages) messages as of \(UTCTime.text(result.at)), \(result.linked) of them "
                    + "with a content file; \(result.ended) ended meanwhile and were left out"))
        guard result.missing.isEmpty else {
            for id in result.missing.prefix(20) { Terminal.complain("\(id) has no content in the spool") }
            Terminal.complain("\(result.missing.count) messages have no content; figaro audit names them")
            throw ExitCode.failure
        }
    }
}

/// What a backup says of itself.
struct BackupManifest: Codable {
    var version = 1
    var made: String
    var madeMilliseconds: Int64
    var spool: String
    var messages: Int

    init(_ result: SpoolBackup.Result, spool: String) {
        made = UTCTime.text(result.at)
        madeMilliseconds = result.at.milliseconds
        self.spool = spool
        messages = result.messages
    }

    /// - Throws: ``StoreFailure`` when the folder is no complete backup.
    static func read(_ folder: String) throws -> BackupManifest {
        let path = "\(folder)/\(SpoolBackup.manifest)"
        guard let text = try? String(contentsOfFile: path, encoding: .utf8),
            let manifest = JSONLine.value(BackupManifest.self, from: text)
        else { throw StoreFailure(.failed, "\(folder) is no complete backup: \(path) cannot be read") }
        guard manifest.version == 1 else {
            throw StoreFailure(.failed, "\(folder) was made by a later version of figaro")
        }
        return manifest
    }
}

/// `figaro restore`
struct RestoreCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore", abstract: "Fill an empty spool from a backup.",
        discussion: """
            The relay must not run, and the spool must be empty: nothing is ever overwritten. A restore that was cut \
            off is done again by the same command; no relay starts on a half-filled spool.

            A backup does not know what was delivered after it was made: all of that is sent a second time when the \
            relay starts. Where that would be worse than late mail, --hold: whatever waits comes up held, and nothing \
            of it is sent until figaro queue release. What receivers or senders say came already can be deleted \
            before. Held mail does not expire: it has as much time left as it had when the backup was made. What \
            senders were to be told at that moment they are told all the same: twice is better than never.

            Examples:
              figaro restore --config /etc/figaro/relay.yaml --from /backup/figaro-2026-11-22
              figaro audit --config /etc/figaro/relay.yaml

              figaro restore --config /etc/figaro/relay.yaml --from /backup/figaro-2026-11-22 --hold
              systemctl start figaro
              figaro queue summary
              figaro queue delete --state held --customer acme --older-than 6h --reason "came before the crash"
              figaro queue release --state held --reason "looked through"

            Exit codes: 0 restored, 66 the backup is not complete or cannot be read, 73 the spool is not empty, in use \
            or cannot be written, 78 the configuration is wrong.
            """)

    @OptionGroup var spool: SpoolOption
    @Option(help: ArgumentHelp("The backup's folder.", valueName: "folder")) var from: String
    @Flag(help: "Nothing is sent until figaro queue release.") var hold = false
    @Option(help: ArgumentHelp("Why it is held, for history and log.", valueName: "text")) var reason: String?

    func validate() throws {
        guard reason == nil || hold else { throw ValidationError("--reason says why mail is held: add --hold") }
        guard reason?.count ?? 0 <= StandingOrders.Order.reasonLength else {
            throw ValidationError("the reason is longer than \(StandingOrders.Order.reasonLength) characters")
        }
    }

    func run() throws {
        umask(0o077)
        let path = try spool.path()
        let source = SpoolOption.absolute(from)
        let manifest: BackupManifest
        do {
            manifest = try BackupManifest.read(source)
        } catch {
            Terminal.complain(Visible.text("cannot restore: \(error)"))
            throw ExitCode.noInput
        }
        let made = Timestamp(milliseconds: manifest.madeMilliseconds)
        let order = hold ? Hold(at: made, by: Self.author, reason: words(manifest)) : nil
        let held: SteeringCount
        do {
            let restore = try SpoolRestore(from: source, to: path, owner: try owner(of: path))
            held = try restore.run(made: made, hold: order, logger: Logger(label: "restore"))
        } catch let error as StoreFailure {
            Terminal.complain(Visible.text("cannot restore: \(error)"))
            throw ExitCode.cannotMake
        }
        Terminal.say(
            Visible.text("\(path): \(manifest.messages) messages as they were at \(manifest.made), from \(source)"))
        guard hold else {
            return Terminal.say(
                "What was delivered after that moment is not known here: it will be sent again when the relay starts.")
        }
        Terminal.say(
            "held: \(held.messages) messages, \(held.recipients) recipients; "
                + "nothing of it is sent until figaro queue release")
    }

    private func words(_ manifest: BackupManifest) -> String {
        let words = (reason ?? "").split(whereSeparator: \.isWhitespace).joined(separator: " ")
        return words.isEmpty ? "restored from the backup of \(manifest.made)" : words
    }

    /// As the relay names those who give orders.
    private static var author: String {
        UserAccount.name(of: getuid()).map { "\($0) (uid \(getuid()))" } ?? "uid \(getuid())"
    }

    /// Whom the files are to belong to: who owns the folder, or the configured user where root makes it.
    private func owner(of path: String) throws -> (user: UInt32, group: UInt32)? {
        guard geteuid() == 0 else { return nil }
        var status = stat()
        if stat(path, &status) == 0 { return (status.st_uid, status.st_gid) }
        guard spool.spool == nil, let name = try spool.node().user else { return nil }
        guard let account = UserAccount.named(name) else {
            throw StoreFailure(.failed, "there is no user “\(name)” on this machine")
        }
        return (account.user, account.group)
    }
}

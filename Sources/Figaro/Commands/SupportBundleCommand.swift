import ArgumentParser
import Foundation
import Glibc

/// `figaro support-bundle`
struct SupportBundleCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "support-bundle", abstract: "Pack what somebody needs who is to help, without what is private.",
        discussion: """
            In it: version, configuration and ip maps without comments and secrets; health, metrics, limits, recent \
            log lines and the stories of the youngest messages of the running relay; facts about the machine. Of mail \
            addresses only the domain is in it, of messages nothing; keys are not read. Where no relay runs, it holds \
            the rest, and says so. The log itself is wherever the service manager keeps it (journalctl -u figaro).

            Examples:
              figaro support-bundle --config /etc/figaro/relay.yaml --to /tmp/figaro-support.tar.gz
              tar -xOzf /tmp/figaro-support.tar.gz | less        look at it before it is sent

            Exit codes: 0 packed, 73 the file is there already or cannot be made.
            """)

    @OptionGroup var relay: RelayOption
    @Option(help: ArgumentHelp("The file to make.", valueName: "file.tar.gz")) var to: String
    @Option(help: "Stories of so many messages, the youngest ones.") var messages = 200

    func validate() throws {
        guard (0...SupportRequest.limit).contains(messages) else {
            throw ValidationError("--messages is from 0 to \(SupportRequest.limit)")
        }
    }

    func run() throws {
        umask(0o077)
        let target = SpoolOption.absolute(to)
        guard access(target, F_OK) != 0 else { throw Self.cannot("\(target) is there already") }
        var template = Array("/tmp/figaro-support-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else { throw Self.cannot(String(cString: strerror(errno))) }
        let folder = String(cString: made)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let bundle = folder + "/figaro-support"
        do {
            try FileManager.default.createDirectory(atPath: bundle, withIntermediateDirectories: false)
            for part in parts() { try write(part, to: bundle) }
            try pack(folder, to: target)
        } catch let error as ExitCode {
            throw error
        } catch {
            throw Self.cannot("\(error)")
        }
        Terminal.say(Visible.text("\(target): look at it before you send it: tar -xOzf \(target) | less"))
    }

    private static func cannot(_ reason: String) -> ExitCode {
        Terminal.complain(Visible.text("cannot pack: \(reason)"))
        return .cannotMake
    }

    private func write(_ part: SupportPart, to bundle: String) throws {
        // What the relay sends is a name, and stays one.
        let name = part.part.filter { $0.isASCII && ($0.isLetter || $0.isNumber || "-._".contains($0)) }
        guard !name.isEmpty, !name.hasPrefix(".") else { return }
        // The last net: whatever way a key came in, it does not go out.
        let isClean = !part.text.contains("PRIVATE KEY-----")
        try (isClean ? part.text : "(left out: it held a key)\n")
            .write(toFile: "\(bundle)/\(name)", atomically: false, encoding: .utf8)
    }

    /// Debian's tar is essential: it is on every machine.
    private func pack(_ folder: String, to target: String) throws {
        let tar = Process()
        tar.executableURL = URL(filePath: "/usr/bin/tar")
        if access("/usr/bin/tar", X_OK) != 0 { tar.executableURL = URL(filePath: "/bin/tar") }
        tar.arguments = ["-czf", target + ".partial", "-C", folder, "figaro-support"]
        try tar.run()
        tar.waitUntilExit()
        guard tar.terminationStatus == 0 else {
            unlink(target + ".partial")
            throw Self.cannot("tar ended with \(tar.terminationStatus)")
        }
        guard rename(target + ".partial", target) == 0 else { throw Self.cannot(String(cString: strerror(errno))) }
    }

    private func parts() -> [SupportPart] {
        var parts = [SupportPart(part: "version.txt", text: Main.version + "\n")]
        let problems = Problems()
        let node = NodeConfigurationFile.load(relay.config.path, problems)
        if let path = relay.config.path { parts.append(Self.file(path, as: "config.yaml")) }
        if !problems.isEmpty {
            let text = problems.list.map { Redaction.text($0.description) + "\n" }.joined()
            parts.append(SupportPart(part: "config-problems.txt", text: text))
        }
        if let node {
            if let folder = node.ipmaps { parts += Self.maps(folder) }
            if let replies = node.replies { parts.append(Self.file(replies, as: "replies.yaml")) }
            parts.append(SupportPart(part: "machine.txt", text: MachineFacts.text(spool: node.spool)))
            parts += fromRelay(relay.socket ?? node.control)
        } else if let socket = relay.socket {
            parts += fromRelay(socket)
        }
        return parts
    }

    private static func file(_ path: String, as name: String) -> SupportPart {
        let text = try? String(contentsOfFile: path, encoding: .utf8)
        return SupportPart(part: name, text: text.map(Redaction.yaml) ?? "(cannot be read)\n")
    }

    private static func maps(_ folder: String) -> [SupportPart] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.filter { $0.hasSuffix(".yaml") || $0.hasSuffix(".yml") }.sorted().prefix(1_000).map {
            file("\(folder)/\($0)", as: "ipmap-\($0)")
        }
    }

    private func fromRelay(_ socket: String) -> [SupportPart] {
        var parts: [SupportPart] = []
        do throws(ControlClient.NoAnswer) {
            _ = try ControlClient.ask(.support(SupportRequest(messages: messages)), at: socket) { line in
                if let part = JSONLine.value(SupportPart.self, from: line) { parts.append(part) }
            }
        } catch {
            Terminal.complain(Visible.text("without what the relay knows: \(error)"))
            parts.append(SupportPart(part: "relay.txt", text: "\(error)\n"))
        }
        return parts
    }
}

"""Who is compared: no relay at all, Figaro, Postfix; each set up for a case as well as it can be."""

import json
import pathlib

from pairs.case import domain
from servers.figaro import Figaro, range_of_254
from servers.postfix import Postfix
from servers.process import free_port

# Generous on purpose: what limits Postfix should be Postfix, not its defaults. fsync stays on (there is no switch).
# No mail log: Debian's would cost it a write a line.
postfix_settings = {
    "default_process_limit": "400",
    "default_destination_concurrency_limit": "200",
    "smtp_destination_concurrency_limit": "200",
    "initial_destination_concurrency": "100",
    "default_destination_concurrency_failed_cohort_limit": "0",
    "qmgr_message_active_limit": "100000",
    "qmgr_message_recipient_limit": "100000",
    "smtp_connection_cache_on_demand": "yes",
}


class Wire:
    """No relay at all."""

    def __init__(self, folder, sink, around, options, wrapper=()):
        self.port, self.pid = sink.port, None
        self.host = "127.88.30.1" if around.zone else "127.0.0.1"
        self.secure = around.case.tls_out

    def stop(self):
        pass


class FigaroRun:
    host, secure = "127.0.0.1", None

    def __init__(self, folder, sink, around, options, wrapper=()):
        case = around.case
        pool = {"members": ["loop"], "select": "random", "messages_per_session": case.messages_per_session}
        site = {"host": "127.0.0.1", "port": sink.port, "tls": "opportunistic" if case.tls_out else "none"}
        self.relay = Figaro(
            folder, sink_port=sink.port, domain=domain, wrapper=wrapper, env=around.slowed,
            ipmap={"ranges": {"loop": range_of_254()}, "pools": {"main": pool},
                   "routes": {"default": {"steps": ["pool main/4"]}}, "sites": {} if around.zone else {domain: site}},
            configuration=self._configuration(around, options))
        if case.tls_in:
            self.relay.settings["listeners"][0]["tls"] = "starttls"
            self.relay.settings["tls"] = {"certificates": [
                {"certificate": str(around.chain), "key": str(around.key)}]}
            self.relay.write_configuration()
        self.relay.start(60)
        self.port, self.pid = self.relay.port, self.relay.pid

    @staticmethod
    def _configuration(around, options):
        if options.figaro:
            return json.loads(pathlib.Path(options.figaro).read_text())
        settings = {"log": {"level": "warning"}, "delivery": {"sessions_per_site": options.sessions_per_site}}
        if around.zone:
            settings["dns"] = {"servers": [around.resolver]}
            settings["delivery"]["allow"] = ["127.88.30.0/24:25"]
        return settings

    def stop(self):
        self.relay.stop()


class PostfixRun:
    host, secure = "127.0.0.1", None

    def __init__(self, folder, sink, around, options, wrapper=()):
        settings, services = _sources(options.postfix_sources, sink)
        settings |= _delivery(around.case)
        if around.case.tls_in:
            settings |= {
                "smtpd_tls_security_level": "may", "smtpd_tls_cert_file": around.chain,
                "smtpd_tls_key_file": around.key,
                "smtpd_tls_session_cache_database": "btree:${data_directory}/smtpd_scache"}
        if around.case.tls_out:
            # Connections that are kept under TLS are held by tlsproxy, since 3.4.
            services += "tlsproxy unix - - n - 0 tlsproxy\n"
        if around.shim:
            settings["import_environment"] = "MAIL_CONFIG TZ LANG=C " + " ".join(around.slowed)
        if around.zone:
            settings |= {"disable_dns_lookups": "no", "smtp_host_lookup": "dns"}
            wrapper = [*wrapper, *around.seeing_zone]
        self.relay = Postfix(
            folder, free_port(), "" if around.zone else f"[127.0.0.1]:{sink.port}", {**postfix_settings, **settings},
            services, log=False, wrapper=wrapper, env=around.slowed)
        self.port, self.pid = self.relay.port, self.relay.process.pid

    def stop(self):
        self.relay.stop()


def _sources(count, sink):
    """Settings and services that make Postfix pick one of `count` addresses of 127.77.0.0/24 for each recipient."""
    if count == 1:
        return {"smtp_bind_address": "127.77.0.1"}, ""
    names = [f"out{number}" for number in range(1, count + 1)]
    services = "".join(
        f"{name} unix - - n - - smtp\n -o smtp_bind_address=127.77.0.{number} -o syslog_name=postfix/{name}\n"
        for number, name in enumerate(names, 1))
    ways = ", ".join(f"{name}:[127.0.0.1]:{sink.port}" for name in names)
    return {"transport_maps": f"randmap:{{{ways}}}"}, services


def _delivery(case):
    """How Postfix is to treat the connections that it opens."""
    settings = {}
    if case.messages_per_session == 1:
        settings["smtp_connection_cache_on_demand"] = "no"
    if case.tls_out:
        settings |= {
            "smtp_tls_security_level": "may", "smtp_tls_connection_reuse": "yes",
            "smtp_tls_session_cache_database": "btree:${data_directory}/smtp_scache"}
    return settings


contestants = {"wire": Wire, "figaro": FigaroRun, "postfix": PostfixRun}

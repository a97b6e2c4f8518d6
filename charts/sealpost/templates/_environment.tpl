{{/*
What a service is told: its addresses, its peers and callers from the table, the files of its secrets, its own settings.
*/}}
{{- define "sealpost.environment" -}}
{{- $root := .root -}}
{{- $name := .name -}}
{{- $service := .service -}}
{{- $callers := .callers -}}
{{- $full := include "sealpost.fullname" $root -}}
{{- $events := include "sealpost.usesEvents" $service -}}
- {name: GRPC_VERBOSITY, value: NONE}
- {name: SEALPOST_GRPC_ADDRESS, value: {{ ternary (printf "%s:7000" $root.Values.listenHost) "" (gt (len $callers) 0) | quote }}}
- {name: SEALPOST_METRICS_ADDRESS, value: "{{ $root.Values.listenHost }}:9090"}
- {name: SEALPOST_TLS_DIR, value: /etc/sealpost/tls}
- {name: SEALPOST_DRAIN_SECONDS, value: {{ $root.Values.drainSeconds | quote }}}
{{- if $root.Values.policy.overrides }}
- {name: SEALPOST_POLICY_OVERRIDES, value: /etc/sealpost/policy/overrides.yaml}
{{- end }}
- name: SEALPOST_CALLERS
  value: {{ join "," $callers | quote }}
{{- $peers := list }}
{{- range $service.calls }}
{{- $peers = append $peers (printf "%s=%s-%s.%s.svc.%s:7000" . $full . $root.Release.Namespace $root.Values.clusterDomain) }}
{{- end }}
- name: SEALPOST_PEERS
  value: {{ join "," $peers | quote }}
{{- if $service.store }}
- {name: SEALPOST_STORE_FILE, value: /etc/sealpost/secrets/store}
{{- end }}
{{- if $events }}
- name: SEALPOST_NATS_URL
  value: {{ include "sealpost.natsUrl" $root | quote }}
- {name: SEALPOST_NATS_USER, value: {{ $name }}}
- {name: SEALPOST_NATS_PASSWORD_FILE, value: /etc/sealpost/secrets/nats_password}
{{- end }}
{{- with $root.Values.otlp.endpoint }}
- name: SEALPOST_OTLP_ENDPOINT
  value: {{ . | quote }}
{{- end }}
{{- range $service.secrets }}
- {name: SEALPOST_{{ upper . }}_FILE, value: /etc/sealpost/secrets/{{ . }}}
{{- end }}
{{- with $service.more }}
{{- if .existingSecret }}
{{- range .secrets }}
- {name: SEALPOST_{{ upper . }}_FILE, value: /etc/sealpost/secrets/{{ . }}}
{{- end }}
{{- end }}
{{- end }}
{{- if $service.catalogue }}
- {name: SEALPOST_CATALOGUE, value: /etc/sealpost/catalogue/catalogue.yaml}
{{- end }}
{{- range $service.doors }}
{{- $port := include "sealpost.door" (dict "root" $root "door" .) | fromJson }}
- name: SEALPOST_{{ upper .setting }}
  value: {{ printf "%s%s-%s-%s.%s.svc.%s:%d" (.scheme | default "") $full .service (index $root.Values.services .service).edge.name $root.Release.Namespace $root.Values.clusterDomain (int $port.port) | quote }}
{{- end }}
{{- with $service.keeps }}
- {name: SEALPOST_{{ upper .setting }}, value: /var/lib/sealpost/{{ $name }}}
{{- end }}
{{- if $service.watches }}
{{- $targets := list }}
{{- range $watched, $_ := $root.Values.services }}
{{- $targets = append $targets (printf "%s=%s-%s-metrics.%s.svc.%s:9090" $watched $full $watched $root.Release.Namespace $root.Values.clusterDomain) }}
{{- end }}
- name: SEALPOST_TARGETS
  value: {{ join "," $targets | quote }}
{{- end }}
{{- with $service.edge }}
- {name: SEALPOST_{{ upper .setting }}, value: "{{ $root.Values.listenHost }}:{{ .port }}"}
{{- range .more }}
- {name: SEALPOST_{{ upper .setting }}, value: "{{ $root.Values.listenHost }}:{{ .port }}"}
{{- end }}
{{- with .tls }}
- {name: SEALPOST_{{ upper .setting }}, value: /etc/sealpost/edge-tls}
{{- end }}
{{- end }}
{{- with $service.resolvers }}
- {name: SEALPOST_RESOLVERS, value: {{ join "," . | quote }}}
{{- end }}
{{- range $setting, $value := $service.settings }}
- name: SEALPOST_{{ upper $setting }}
  value: {{ tpl (include "sealpost.text" $value) $root | quote }}
{{- end }}
{{- end -}}

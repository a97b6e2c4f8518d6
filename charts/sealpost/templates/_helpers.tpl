{{/* Names and labels. */}}
{{- define "sealpost.fullname" -}}
{{- if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "sealpost.selector" -}}
app.kubernetes.io/name: sealpost
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .name }}
{{- end -}}

{{- define "sealpost.labels" -}}
{{ include "sealpost.selector" . }}
app.kubernetes.io/part-of: sealpost
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end -}}

{{/* Names that a service answers to inside the cluster: its identity first. */}}
{{- define "sealpost.hosts" -}}
{{- $base := printf "%s-%s" (include "sealpost.fullname" .root) .name -}}
{{- $zone := printf "%s.svc.%s" .root.Release.Namespace .root.Values.clusterDomain -}}
{{- $hosts := list (printf "%s.sealpost.internal" .name) $base (printf "%s.%s" $base $zone) -}}
{{- if has .name (list "nats" "mongodb") -}}
{{- $hosts = append $hosts "localhost" -}}
{{- range $i := until 3 -}}
{{- $hosts = append $hosts (printf "%s-%d.%s.%s" $base $i $base $zone) -}}
{{- end -}}
{{- end -}}
{{- toJson $hosts -}}
{{- end -}}

{{/* Everybody with a certificate. */}}
{{- define "sealpost.identities" -}}
{{- $names := keys .Values.services | sortAlpha -}}
{{- if .Values.nats.enabled }}{{ $names = append $names "nats" }}{{ end -}}
{{- if .Values.mongodb.enabled }}{{ $names = append $names "mongodb" }}{{ end -}}
{{- toJson $names -}}
{{- end -}}

{{- define "sealpost.callers" -}}
{{- $name := .name -}}
{{- $callers := list -}}
{{- range $other, $service := .root.Values.services -}}
{{- if has $name $service.calls }}{{ $callers = append $callers $other }}{{ end -}}
{{- end -}}
{{- toJson ($callers | sortAlpha) -}}
{{- end -}}

{{- /* The services that read the metrics of all others, as JSON. */ -}}
{{- define "sealpost.watchers" -}}
{{- $watchers := list -}}
{{- range $name, $service := .Values.services }}{{ if $service.watches }}{{ $watchers = append $watchers $name }}{{ end }}{{ end -}}
{{- toJson $watchers -}}
{{- end -}}

{{/* The services that use an edge of service `name` as everybody does. */}}
{{- define "sealpost.visitors" -}}
{{- $name := .name -}}
{{- $visitors := list -}}
{{- range $visitor, $service := .root.Values.services }}{{ range $service.doors }}{{ if eq .service $name }}{{ $visitors = append $visitors $visitor }}{{ end }}{{ end }}{{ end -}}
{{- $visitors | uniq | toJson -}}
{{- end -}}

{{/* The port of a door: what is connected to (`target`), and what the Service calls it (`port`). */}}
{{- define "sealpost.door" -}}
{{- $door := .door -}}
{{- $edge := (index .root.Values.services $door.service).edge -}}
{{- $found := dict -}}
{{- if eq $edge.name $door.port }}{{ $found = dict "target" $edge.port "port" $edge.service.port }}{{ end -}}
{{- range $edge.more }}{{ if eq .name $door.port }}{{ $found = dict "target" .port "port" .servicePort }}{{ end }}{{ end -}}
{{- if not $found }}{{ fail (printf "%s has no edge %s" $door.service $door.port) }}{{ end -}}
{{- toJson $found -}}
{{- end -}}

{{/* Whether a service talks to NATS: "yes" or nothing. */}}
{{- define "sealpost.usesEvents" -}}
{{- if or .publishes .listens .consumes .facts }}yes{{ end -}}
{{- end -}}

{{- define "sealpost.natsSecret" -}}
{{- .Values.nats.existingSecret | default (printf "%s-nats" (include "sealpost.fullname" .)) -}}
{{- end -}}

{{- define "sealpost.natsUrl" -}}
{{- if .Values.nats.enabled -}}
{{- $base := printf "%s-nats" (include "sealpost.fullname" .) -}}
{{- range $i := until 3 -}}
{{- if $i }},{{ end }}tls://{{ $base }}-{{ $i }}.{{ $base }}.{{ $.Release.Namespace }}.svc.{{ $.Values.clusterDomain }}:4222
{{- end -}}
{{- else -}}
{{- required "nats.external.url is needed where nats.enabled is false" .Values.nats.external.url -}}
{{- end -}}
{{- end -}}

{{- define "sealpost.mongodbSecret" -}}
{{- .Values.mongodb.existingSecret | default (printf "%s-mongodb" (include "sealpost.fullname" .)) -}}
{{- end -}}

{{- define "sealpost.mongodbMembers" -}}
{{- $base := printf "%s-mongodb" (include "sealpost.fullname" .) -}}
{{- range $i := until 3 -}}
{{- if $i }},{{ end }}{{ $base }}-{{ $i }}.{{ $base }}.{{ $.Release.Namespace }}.svc.{{ $.Values.clusterDomain }}:27017
{{- end -}}
{{- end -}}

{{/* Pod security: the restricted standard, and nothing left out. */}}
{{- define "sealpost.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "sealpost.containerSecurity" -}}
allowPrivilegeEscalation: false
privileged: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
{{- end -}}

{{/* Pods apart from each other, and where they may run. */}}
{{- define "sealpost.placement" -}}
topologySpreadConstraints:
  {{- range $key := list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - maxSkew: 1
    topologyKey: {{ $key }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "sealpost.selector" $ | nindent 8 }}
  {{- end }}
{{- with .root.Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .root.Values.nodeSelector }}
nodeSelector: {{ toJson . }}
{{- end }}
{{- with .root.Values.tolerations }}
tolerations: {{ toJson . }}
{{- end }}
{{- with .root.Values.image.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- end -}}

{{/* What an installation made before, or nothing: secrets that Helm makes stay what they are. */}}
{{- define "sealpost.existing" -}}
{{- $found := lookup "v1" "Secret" .root.Release.Namespace .name -}}
{{- if $found }}{{ toJson $found }}{{ else }}{}{{ end -}}
{{- end -}}

{{/* One value of a secret (base64): the one there is, else the one given. */}}
{{- define "sealpost.kept" -}}
{{- $data := dig "data" (dict) .existing -}}
{{- if hasKey $data .key }}{{ index $data .key }}{{ else }}{{ b64enc .fresh }}{{ end -}}
{{- end -}}

{{/* A peer of a NetworkPolicy: pods of this installation. */}}
{{- define "sealpost.peer" -}}
podSelector:
  matchLabels:
    {{- include "sealpost.selector" . | nindent 4 }}
{{- end -}}

{{/* Peers from the values: an empty list would mean everybody. */}}
{{- define "sealpost.peers" -}}
{{- if not .peers }}{{ fail (printf "%s is needed: it says where the traffic may go" .name) }}{{ end -}}
{{- toYaml .peers -}}
{{- end -}}

{{/* A setting as text; numbers without an exponent. */}}
{{- define "sealpost.text" -}}
{{- if and (kindIs "float64" .) (eq (toString .) (toString (floor .))) }}{{ int64 . }}{{ else }}{{ toString . }}{{ end -}}
{{- end -}}

{{/*
What is offered: the operator's file, or the chart's own.
*/}}
{{- define "sealpost.catalogue" -}}
{{- .Values.catalogue | default (.Files.Get "catalogue.yaml") | trim -}}
{{- end -}}
{{- define "sealpost.catalogueName" -}}
{{- printf "%s-catalogue-%s" (include "sealpost.fullname" .) (include "sealpost.catalogue" . | sha256sum | trunc 10) -}}
{{- end -}}

{{/*
The files in /etc/sealpost/secrets: keys of the service, what a provider gave the operator, ways in to events and store.
*/}}
{{- define "sealpost.secretSources" -}}
{{- if .service.secrets }}
- secret:
    name: {{ .service.existingSecret | default (printf "%s-%s" .full .name) }}
    items:
      {{- range .service.secrets }}
      - {key: {{ . }}, path: {{ . }}}
      {{- end }}
{{- end }}
{{- with .service.more }}
{{- if .existingSecret }}
- secret:
    name: {{ .existingSecret }}
    items:
      {{- range .secrets }}
      - {key: {{ . }}, path: {{ . }}}
      {{- end }}
{{- end }}
{{- end }}
{{- if include "sealpost.usesEvents" .service }}
- secret:
    name: {{ include "sealpost.natsSecret" .root }}
    items:
      - {key: {{ .name }}, path: nats_password}
{{- end }}
{{- if .service.store }}
- secret:
    name: {{ include "sealpost.mongodbSecret" .root }}
    items:
      - {key: {{ .name }}.uri, path: store}
{{- end }}
{{- end -}}

"""Shaders of the deferred renderer, GLSL 3.30.

The bodies have many triangles smaller than a pixel, so the costly shading runs once per pixel of the picture.
Materials: 0 plain, 1 skin, 2 hair, 3 cloth, 4 stripes, 5 wood, 6 tiles, 7 wall, 8 light, 9 checks, 10 print.
"""

VERTEX = """#version 330
in vec3 p; in vec3 n; in vec3 c; in vec3 r; in vec3 m; uniform mat4 VP;
out vec3 wn, col, rp; flat out vec3 mat;
void main(){ wn=n; col=c; rp=r; mat=m; gl_Position=VP*vec4(p,1); }"""

GEOMETRY = """#version 330
in vec3 wn, col, rp; flat in vec3 mat;
layout(location=0) out vec4 a; layout(location=1) out vec4 b; layout(location=2) out vec4 c; layout(location=3) out vec4 d;
void main(){ a=vec4(mat,1); b=vec4(wn,1); c=vec4(col,1); d=vec4(rp,1); }"""

DEPTH = """#version 330
void main(){}"""

SCREEN = """#version 330
void main(){ gl_Position=vec4(gl_VertexID==1?3.:-1.,gl_VertexID==2?3.:-1.,0,1); }"""

SHADE = """#version 330
uniform mat4 LP, IVP; uniform vec2 size; uniform sampler2D g0, g1, g2, g3, gz; uniform sampler2DShadow sh;
uniform vec3 eye, L, sun, sky, gnd, lamp; out vec4 o;
float h(vec3 q){ q=fract(q*vec3(.1031,.1030,.0973)); q+=dot(q,q.yxz+33.33); return fract((q.x+q.y)*q.z); }
float vn(vec3 q){ vec3 i=floor(q), f=fract(q); f=f*f*(3.-2.*f);
 return mix(mix(mix(h(i),h(i+vec3(1,0,0)),f.x),mix(h(i+vec3(0,1,0)),h(i+vec3(1,1,0)),f.x),f.y),
            mix(mix(h(i+vec3(0,0,1)),h(i+vec3(1,0,1)),f.x),mix(h(i+vec3(0,1,1)),h(i+vec3(1,1,1)),f.x),f.y),f.z); }
float two(vec3 q){ return .62*vn(q)+.38*vn(q*2.7); }
void main(){ ivec2 px=ivec2(gl_FragCoord.xy); vec4 A=texelFetch(g0,px,0);
 if(A.w<.5){ o=vec4(.7,.75,.8,1); return; }
 int mat=int(A.z*255.+.5); vec3 a=texelFetch(g2,px,0).xyz;
 if(mat==8){ o=vec4(a,1); return; }
 vec4 w4=IVP*vec4(gl_FragCoord.xy/size*2.-1.,texelFetch(gz,px,0).x*2.-1.,1); vec3 wp=w4.xyz/w4.w;
 vec3 rp=texelFetch(g3,px,0).xyz; vec3 N=normalize(texelFetch(g1,px,0).xyz), V=normalize(eye-wp);
 if(dot(N,V)<0.) N=-N; float spec=.05;
 if(mat==1){ a*=.93+.14*vn(rp*40.); spec=.10; }
 else if(mat==2){ a*=.6+.8*vn(vec3(rp.xy*230.,rp.z*25.)); spec=.22; }
 else if(mat==3||mat==4||mat==9||mat==10){
  if(mat==4) a=mix(a,1.-.8*a,step(.5,fract(rp.z*16.))*.8);
  if(mat==9){ vec2 t=step(.5,fract(rp.xz*14.)); a*=.55+.25*t.x+.25*t.y; }
  if(mat==10){ vec2 t=abs(rp.xz-vec2(0.,.24)); if(rp.y<0.&&max(t.x,t.y)<.075) a=mix(a,vec3(1.)-a,.8*step(.4,vn(rp*45.))); }
  float f=two(rp*9.); a*=.78+.44*f; N=normalize(N+.5*(vec3(f,vn(rp*15.+9.),vn(rp*15.+5.))-.5)); }
 else if(mat==5){ a*=.8+.4*vn(vec3(wp.x*3.,wp.y*40.,wp.z*40.)); spec=.2; }
 else if(mat==6){ vec2 t=fract(wp.xy/.6); a*=(.85+.25*vn(wp*5.))*mix(.72,1.,step(.015,t.x)*step(.015,t.y)); spec=.25; }
 else if(mat==7) a*=.92+.16*vn(wp*2.);
 vec4 lp=LP*vec4(wp+N*.02,1); vec3 s=lp.xyz*.5+.5; float lit=max(dot(N,L),0.), v=0.;
 if(lit>0.){ v=1.; if(s.x>0.&&s.x<1.&&s.y>0.&&s.y<1.){ v=0.;
  for(int i=0;i<4;i++) v+=.25*texture(sh,vec3(s.xy+vec2(float(i&1)-.5,float(i>>1)-.5)*1.6/1024.,s.z-.0025)); } }
 float ao=mix(.5,1.,smoothstep(0.,.9,wp.z)); vec3 amb=mix(gnd,sky,.5+.5*N.z)*ao;
 amb+=lamp*max(N.z*.6+.4,0.)*.5*ao;
 vec3 c=a*(amb+sun*lit*v)+spec*sun*v*pow(max(dot(N,normalize(L+V)),0.),24.);
 c*=.78+.22*smoothstep(-.2,.8,dot(N,V));
 c=c/(1.+.25*c); o=vec4(pow(max(c,0.),vec3(1./2.2)),1); }"""
